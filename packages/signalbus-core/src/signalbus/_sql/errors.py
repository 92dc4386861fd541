"""What the errors of databases mean: a lost race, an outage, a mistake that lasts."""

from __future__ import annotations

import socket

import sqlalchemy.exc as sa_exc

from signalbus.exceptions import DBSerializationError

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

#: SQLSTATEs of a connection that is refused until someone changes something: no
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


def is_race(error: BaseException) -> bool:
    """Return whether *error* says that a transaction lost a race and may be run again.

    Serialization failures and deadlocks of PostgreSQL, MySQL and MariaDB, and a
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
    """Return whether *error* is a race or a failing connection: both pass.

    A connection that the server, or the name of its host, refuses for good does not.
    """
    if is_race(error):
        return True
    if not isinstance(error, sa_exc.DBAPIError) or _is_refusal(error):
        return False
    return is_outage(error) or sqlstate(error) in PASSING_STATES


def is_outage(error: BaseException) -> bool:
    """Return whether *error* means that there is no connection to the database.

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
    """Return whether *error* is about the database or the statement, not about rows.

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
    """Return whether *error* refuses a connection, and will do so the next time."""
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
    """Recognize SQLITE_BUSY and SQLITE_LOCKED by their text."""
    message = str(error.orig)
    return isinstance(error, sa_exc.OperationalError) and (
        message.startswith(("database is locked", "database table is locked"))
    )
