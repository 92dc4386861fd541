"""Trying again: which errors of a database pass, and how long to wait for it."""

from __future__ import annotations

import functools
import logging
import random
import socket
import typing as t

import sqlalchemy.exc as sa_exc

from signalbus import stopping
from signalbus._markers import hookimpl
from signalbus.exceptions import DBSerializationError
from signalbus.exceptions import describe_error

logger = logging.getLogger("signalbus")

P = t.ParamSpec("P")
R = t.TypeVar("R")

#: SQLSTATEs of a transaction that lost a race: serialization failure, deadlock.
RACES = frozenset({"40001", "40P01"})

#: Error numbers of MySQL and MariaDB for the same: lock wait timeout, deadlock, and
#: "record has changed since last read".
MYSQL_RACES = frozenset({1205, 1213, 1020})

#: SQLSTATEs of a server that refuses for the moment: a lock not to be had at once,
#: shutting down, crashed, starting up. Class 08 is a connection that failed.
PASSING_STATES = frozenset({"55P03", "57P01", "57P02", "57P03"})

#: What SQLSTATEs begin with that no other row and no other try can avoid: features that
#: are missing, a transaction that is read-only, logins, names and privileges, resources
#: such as the disk, limits of statements, and the state and configuration of objects.
PERMANENT_STATES = ("0A", "25006", "28", "3D", "3F", "42", "53", "54", "58", "XX")

#: The same of MySQL and MariaDB: privileges (1044, 1045, 1142, 1143, 1227, 1370),
#: names (1046, 1049, 1054, 1109, 1146, 1176), syntax (1064), servers and transactions
#: that are read-only (1036, 1290, 1792, 1836), disk (1021, 1114), binlog (1598, 1665).
MYSQL_PERMANENT = frozenset(
    {1021, 1036, 1044, 1045, 1046, 1049, 1054, 1064, 1109, 1114, 1142, 1143, 1146}
    | {1176, 1227, 1290, 1370, 1598, 1665, 1792, 1836}
)

#: The same of SQLite, which has no numbers before Python 3.11.
SQLITE_PERMANENT = (
    "no such table",
    "no such column",
    "attempt to write a readonly database",
    "unable to open database file",
    "database or disk is full",
    "disk I/O error",
    "database disk image is malformed",
    "file is not a database",
)

#: SQLSTATEs of a server that went away, or that is not ready.
OUTAGE_STATES = PASSING_STATES - {"55P03"}

#: SQLSTATEs of a connection that is refused until somebody does something about it: no
#: such database, a wrong password, no such role.
REFUSAL_STATES = frozenset({"3D000", "28P01", "28000"})

#: Error numbers of MySQL and MariaDB for the same.
MYSQL_REFUSALS = frozenset({1044, 1045, 1049, 1130, 1698})

#: What drivers say of the same: libpq gives no SQLSTATE to a connection that failed.
#: In another language of the server it counts as passing, which costs a few tries.
REFUSAL_TEXTS = (
    '" does not exist',
    "authentication failed",
    "no pg_hba.conf entry",
    "no password supplied",
    "is not permitted to log in",
    "is not currently accepting connections",
    "permission denied for database",
    "unable to open database file",
)

#: What drivers say of a host whose name cannot be resolved, and if that may pass.
UNKNOWN_HOST_TEXTS = (
    "could not translate host name",
    "failed to resolve host",
    "Unknown MySQL server host",
    "Unknown server host",
)
PASSING_HOST_TEXTS = ("Temporary failure", "Try again", "(-3)")


def backoff(tries: int, first: float = 0.05, most: float = 5.0) -> t.Iterator[float]:
    """Yield the waits between *tries* tries, in seconds.

    Each is about twice the one before, from *first* up to *most*, less a random part
    of up to a half, so that those who collided do not collide again.
    """
    for number in range(tries - 1):
        yield min(most, first * 2**number) * random.uniform(0.5, 1.0)  # noqa: S311 no secret


def patiently(
    attempt: t.Callable[[], R], tries: int, may_repeat: t.Callable[[Exception], bool]
) -> R:
    """Make an *attempt*, and again after a growing wait, up to *tries* times.

    An error that *may_repeat* refuses is raised at once, and the last one in the end,
    or when the process is told to stop. The first that is passed over is logged.
    """
    waits = backoff(tries)
    is_told = False
    while True:
        try:
            return attempt()
        except Exception as error:
            seconds = next(waits, None)
            if seconds is None or stopping.is_stopping() or not may_repeat(error):
                raise
            if not is_told:
                logger.warning("Trying again after: %s", describe_error(error))
                is_told = True
            if stopping.wait(seconds):
                raise


def is_race(error: BaseException) -> bool:
    """Tell whether *error* says that a transaction lost a race and may be run again.

    Serialization failures and deadlocks of PostgreSQL, MySQL, MariaDB and kin, and a
    SQLite database that is locked.
    """
    if isinstance(error, DBSerializationError):
        return True
    if not isinstance(error, sa_exc.DBAPIError):
        return False
    return (
        sqlstate(error) in RACES
        or mysql_code(error) in MYSQL_RACES
        or _is_locked_sqlite(error)
    )


def is_transient(error: BaseException) -> bool:
    """Tell whether *error* is a race or a failing connection: both pass.

    A connection that the server, or the name of its host, refuses for good does not.
    """
    if is_race(error):
        return True
    if not isinstance(error, sa_exc.DBAPIError) or _is_refusal(error):
        return False
    return is_outage(error) or sqlstate(error) in PASSING_STATES


def is_outage(error: BaseException) -> bool:
    """Tell whether *error* is about the database as a whole: there is no connection.

    It was lost, or it cannot be made: that is an error without a statement.
    """
    if not isinstance(error, sa_exc.DBAPIError):
        return False
    state = sqlstate(error)
    return (
        error.connection_invalidated
        or (isinstance(error, sa_exc.OperationalError) and error.statement is None)
        or state in OUTAGE_STATES
        or state.startswith("08")
    )


def is_permanent(error: BaseException) -> bool:
    """Tell whether *error* is about the database or the statement, and not about rows.

    A privilege or a table that is missing, a database that is read-only, damaged or
    full: no other row fares better, and no other try.
    """
    if not isinstance(error, sa_exc.DBAPIError):
        return False
    return (
        sqlstate(error).startswith(PERMANENT_STATES)
        or mysql_code(error) in MYSQL_PERMANENT
        or str(error.orig).startswith(SQLITE_PERMANENT)
    )


def _is_refusal(error: sa_exc.DBAPIError) -> bool:
    """Tell whether *error* refuses a connection, and will do so the next time."""
    if sqlstate(error) in REFUSAL_STATES or mysql_code(error) in MYSQL_REFUSALS:
        return True
    if error.statement is not None:
        return False
    says = str(error.orig)
    return _is_unknown_host(error) or any(text in says for text in REFUSAL_TEXTS)


def _is_unknown_host(error: sa_exc.DBAPIError) -> bool:
    cause = getattr(error.orig, "original_exception", None)  # PyMySQL's
    if isinstance(cause, socket.gaierror):
        return cause.errno != socket.EAI_AGAIN
    says = str(error.orig)
    return any(text in says for text in UNKNOWN_HOST_TEXTS) and not any(
        text in says for text in PASSING_HOST_TEXTS
    )


@hookimpl(trylast=True)
def signalbus_is_transient_error(error: BaseException) -> bool | None:
    """Answer for the databases that the core knows."""
    return True if is_transient(error) else None


def retry_on_deadlock(
    session: t.Any, retries: int = 6, min_wait: float = 0.1, max_wait: float = 10.0
) -> t.Callable[[t.Callable[P, R]], t.Callable[P, R]]:
    """Return a decorator that runs a function again when it loses a race.

    When the function raises a serialization failure or a deadlock, *session* is rolled
    back and the function is called again after a growing, jittered wait. When all
    tries are used up, the last error is raised. Other errors are raised at once, and
    leave *session* as it is. A thread that is told to stop does not wait, and tries
    once more.

    :param session: the session, or scoped session, that the function works in.
    :param retries: how many times to try again, at most.
    :param min_wait: the first wait, in seconds.
    :param max_wait: the longest wait, in seconds.
    """

    def decorator(function: t.Callable[P, R]) -> t.Callable[P, R]:
        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            for wait in backoff(retries + 1, min_wait, max_wait):
                try:
                    return function(*args, **kwargs)
                except (sa_exc.DBAPIError, DBSerializationError) as error:
                    if not is_race(error):
                        raise
                    session.rollback()
                if stopping.wait(wait):
                    break
            return function(*args, **kwargs)

        return wrapper

    return decorator


def sqlstate(error: sa_exc.DBAPIError) -> str:
    """Return the SQLSTATE, under the names that psycopg and psycopg2 give it."""
    original = error.orig
    return (
        getattr(original, "sqlstate", None) or getattr(original, "pgcode", None) or ""
    )


def mysql_code(error: sa_exc.DBAPIError) -> int | None:
    """Return the error number of MySQL's drivers, which is their first argument."""
    args = getattr(error.orig, "args", ())
    return args[0] if args and isinstance(args[0], int) else None


def _is_locked_sqlite(error: sa_exc.DBAPIError) -> bool:
    """Tell SQLITE_BUSY and SQLITE_LOCKED, which have no number before Python 3.11."""
    message = str(error.orig)
    return isinstance(error, sa_exc.OperationalError) and (
        message.startswith(("database is locked", "database table is locked"))
    )
