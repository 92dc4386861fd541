"""Trying again: which errors of a database pass, and how long to wait for it."""

from __future__ import annotations

import functools
import logging
import random
import typing as t

import sqlalchemy.exc as sa_exc

from signalbus import stopping
from signalbus._markers import hookimpl
from signalbus.exceptions import DBSerializationError

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
    or when the process is told to stop.
    """
    waits = backoff(tries)
    while True:
        try:
            return attempt()
        except Exception as error:
            seconds = next(waits, None)
            if seconds is None or stopping.is_stopping() or not may_repeat(error):
                raise
            logger.warning("Trying again in %.2f seconds after: %s", seconds, error)
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
        _sqlstate(error) in RACES
        or _mysql_code(error) in MYSQL_RACES
        or _is_locked_sqlite(error)
    )


def is_transient(error: BaseException) -> bool:
    """Tell whether *error* is a race or a failing connection: both pass.

    A connection fails when it is lost, and when it cannot be made: that is an error
    without a statement.
    """
    if is_race(error):
        return True
    if not isinstance(error, sa_exc.DBAPIError):
        return False
    state = _sqlstate(error)
    return (
        error.connection_invalidated
        or (isinstance(error, sa_exc.OperationalError) and error.statement is None)
        or state in PASSING_STATES
        or state.startswith("08")
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


def _sqlstate(error: sa_exc.DBAPIError) -> str:
    """Return the SQLSTATE, under the names that psycopg and psycopg2 give it."""
    original = error.orig
    return (
        getattr(original, "sqlstate", None) or getattr(original, "pgcode", None) or ""
    )


def _mysql_code(error: sa_exc.DBAPIError) -> int | None:
    """Return the error number of MySQL's drivers, which is their first argument."""
    args = getattr(error.orig, "args", ())
    return args[0] if args and isinstance(args[0], int) else None


def _is_locked_sqlite(error: sa_exc.DBAPIError) -> bool:
    """Tell SQLITE_BUSY and SQLITE_LOCKED, which have no number before Python 3.11."""
    message = str(error.orig)
    return isinstance(error, sa_exc.OperationalError) and (
        message.startswith(("database is locked", "database table is locked"))
    )
