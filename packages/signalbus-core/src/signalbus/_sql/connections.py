"""Open the connections and transactions of a flush, apart from the application's.

SQLite has no row locks: there, ``BEGIN IMMEDIATE`` lets in one flusher at a time.
"""

from __future__ import annotations

import contextlib
import typing as t
import weakref

import sqlalchemy as sa
import sqlalchemy.pool as sa_pool

from signalbus._sql import joined
from signalbus.exceptions import SignalBusError

if t.TYPE_CHECKING:
    import sqlalchemy.engine.interfaces as sa_interfaces
    from flask_sqlalchemy import SQLAlchemy

    from signalbus._declaration import Declaration

ISOLATION: t.Final = "READ COMMITTED"

#: Without a transaction: each statement stands for itself.
AUTOCOMMIT: t.Final = "AUTOCOMMIT"

#: The key, in the ``info`` of a driver's connection, that says that it has that level.
LEVEL: t.Final = "signalbus.level"

#: What :func:`_is_read_committed` has found.
_known_levels: weakref.WeakKeyDictionary[sa.Engine, bool] = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def connect(
    db: SQLAlchemy, declaration: Declaration, *, wait_for_disk: bool = True
) -> t.Iterator[sa.Connection]:
    """Open a connection at READ COMMITTED.

    At that level, a row that another transaction has deleted is passed over; at higher
    levels it would be a serialization failure.

    :param wait_for_disk: whether PostgreSQL writes commits to disk before it returns.
    """
    engine = _engine(db, declaration)
    keeps_level = _keeps_level(engine)  # first: there may be one connection only
    with _open(engine) as connection:
        if not wait_for_disk:
            connection.execution_options(signalbus_wait_for_disk=False)
        if keeps_level:
            yield connection
        else:
            connection.execution_options(signalbus_level=ISOLATION)
            with _at_level(connection, ISOLATION):
                yield connection


@contextlib.contextmanager
def connect_to_look(
    db: SQLAlchemy, declaration: Declaration
) -> t.Iterator[sa.Connection]:
    """Open a connection for one statement that reads.

    On PostgreSQL, that statement is all that the server gets: no transaction begins.
    Elsewhere, to switch transactions off takes more statements than to end one.
    """
    engine = _engine(db, declaration)
    with _open(engine) as connection:
        if connection.dialect.name != "postgresql" or joined.is_joined(engine):
            yield connection
        else:
            with _at_level(connection, AUTOCOMMIT), _unprepared(connection):
                yield connection


@contextlib.contextmanager
def _at_level(
    connection: sa.Connection, level: sa_interfaces.IsolationLevel
) -> t.Iterator[None]:
    """Keep *connection* at an isolation level, and restore its own afterwards.

    SQLAlchemy's own option would restore the level while the connection is returned to
    the pool. A connection that breaks at that moment is lost to the pool for ever.
    """
    _set_level(connection, level)
    try:
        yield
    except BaseException:
        _roll_back(connection)
        raise
    finally:
        _reset_level(connection)


def _set_level(connection: sa.Connection, level: sa_interfaces.IsolationLevel) -> None:
    """Set the isolation level.

    That may be where a connection turns out to have died in the pool. SQLAlchemy
    notices that only in a statement, so execute one.
    """
    dialect = connection.dialect
    try:
        dialect.set_isolation_level(_driver_connection(connection), level)
        connection.info[LEVEL] = level
    except dialect.loaded_dbapi.Error:
        try:
            connection.exec_driver_sql("SELECT 1")
        finally:
            connection.rollback()
        raise


def _roll_back(connection: sa.Connection) -> None:
    """Undo what an interrupted commit has left: on MySQL, to set the level commits."""
    if not connection.invalidated:
        with contextlib.suppress(Exception):  # _reset_level finds out what is broken
            _driver_connection(connection).rollback()


def _reset_level(connection: sa.Connection) -> None:
    """Restore the engine's isolation level, or discard the connection."""
    if connection.invalidated:
        return
    try:
        connection.info.pop(LEVEL, None)
        connection.dialect.reset_isolation_level(_driver_connection(connection))
    except Exception:  # noqa: BLE001 broken in whatever way: out of the pool
        connection.invalidate()
    except BaseException:
        connection.invalidate()
        raise


def renew(connection: sa.Connection) -> None:
    """Reconnect at the same isolation level after a connection was lost.

    SQLAlchemy reconnects at the engine's level, and a plugin may have made it do so. If
    that is AUTOCOMMIT, locks do not hold, and a row that is deleted before it is sent
    does not come back.
    """
    options = connection.get_execution_options()
    if "signalbus_level" in options and LEVEL not in connection.info:
        _set_level(connection, ISOLATION)


def _driver_connection(connection: sa.Connection) -> t.Any:
    return connection.connection.dbapi_connection


def _keeps_level(engine: sa.Engine) -> bool:
    """Return whether connections of *engine* have a good isolation level as it is."""
    is_sqlite = engine.dialect.name == "sqlite"
    return is_sqlite or joined.is_joined(engine) or _is_read_committed(engine)


def _is_read_committed(engine: sa.Engine) -> bool:
    """Return whether connections of *engine* are at READ COMMITTED anyway.

    Checked for PostgreSQL only, where that is the default.
    """
    if engine.dialect.name != "postgresql":
        return False
    answer = _known_levels.get(engine)
    if answer is None:
        with engine.connect() as connection:
            has_transactions = not _driver_connection(connection).autocommit
            answer = has_transactions and connection.get_isolation_level() == ISOLATION
        _known_levels[engine] = answer
    return answer


def _engine(db: SQLAlchemy, declaration: Declaration) -> sa.Engine:
    """Return the engine of the database that holds a model's table."""
    bind_key = declaration.bind_key
    engine = joined.engine_for(db, declaration)
    if engine is None:
        raise SignalBusError(
            f"The signal model {declaration.model.__name__} is bound to {bind_key!r},"
            " for which the app has no engine. Name it in SQLALCHEMY_BINDS."
        )
    return engine


def is_in_memory(db: SQLAlchemy, declaration: Declaration) -> bool:
    """Return whether a model's database is one of SQLite in memory.

    Then all threads share one connection, or each has a database of its own.
    """
    engine = db.engines.get(declaration.bind_key)
    return engine is not None and isinstance(
        engine.pool, (sa_pool.StaticPool, sa_pool.SingletonThreadPool)
    )


def transaction(
    connection: sa.Connection,
) -> contextlib.AbstractContextManager[sa.Transaction]:
    """Begin a transaction on *connection*, which commits unless an error is raised."""
    if joined.is_joined(connection.engine):
        return connection.begin()
    renew(connection)
    return _transactions.get(connection.dialect.name, sa.Connection.begin)(connection)


@contextlib.contextmanager
def _postgresql_transaction(connection: sa.Connection) -> t.Iterator[sa.Transaction]:
    with _unprepared(connection), connection.begin() as own:
        if not connection.get_execution_options().get("signalbus_wait_for_disk", True):
            connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
        yield own


@contextlib.contextmanager
def _unprepared(connection: sa.Connection) -> t.Iterator[None]:
    """Let psycopg prepare no statements.

    PostgreSQL keeps the plan of a prepared statement. A plan that was made when the
    table was empty, which is often, scans the whole table when it has filled.
    """
    driver_connection = _driver_connection(connection)
    threshold = getattr(driver_connection, "prepare_threshold", None)
    if threshold is not None:
        driver_connection.prepare_threshold = None
    try:
        yield
    finally:
        if threshold is not None:
            driver_connection.prepare_threshold = threshold


@contextlib.contextmanager
def _sqlite_transaction(connection: sa.Connection) -> t.Iterator[sa.Transaction]:
    """Run a transaction that locks the database before anything is read."""
    with connection.begin() as own, _ended_by_statement(connection, own):
        _begin_immediate(connection)
        yield own


_Run: t.TypeAlias = t.Callable[
    [sa.Connection], contextlib.AbstractContextManager[sa.Transaction]
]

_transactions: dict[str, _Run] = {
    "postgresql": _postgresql_transaction,
    "sqlite": _sqlite_transaction,
}


@contextlib.contextmanager
def _ended_by_statement(
    connection: sa.Connection, own: sa.Transaction
) -> t.Iterator[None]:
    """End a transaction of SQLite by a statement if its driver would not.

    From Python 3.12 on, ``autocommit=True`` makes commit and rollback do nothing.
    """
    driver_connection = _driver_connection(connection)
    if getattr(driver_connection, "autocommit", None) is not True:
        yield
        return
    try:
        yield
        driver_connection.execute("COMMIT" if own.is_active else "ROLLBACK")
    finally:
        if driver_connection.in_transaction:
            driver_connection.execute("ROLLBACK")


def _begin_immediate(connection: sa.Connection) -> None:
    """Lock the SQLite database for writing before anything is read."""
    driver_connection = _driver_connection(connection)
    if getattr(driver_connection, "in_transaction", False):
        connection.exec_driver_sql("ROLLBACK")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextlib.contextmanager
def _open(engine: sa.Engine) -> t.Iterator[sa.Connection]:
    """Connect, but not to work inside a transaction on SQLite's only connection."""
    pool = engine.pool
    if isinstance(pool, sa_pool.StaticPool):
        _refuse_open_transaction(pool.connection.dbapi_connection)
    with engine.connect() as connection:
        if isinstance(pool, sa_pool.SingletonThreadPool):
            _refuse_open_transaction(_driver_connection(connection))
        yield connection


def _refuse_open_transaction(driver_connection: object) -> None:
    if getattr(driver_connection, "in_transaction", False):
        raise SignalBusError(
            "A database in memory has one connection, and a transaction is open on it."
            " Commit or roll back before you flush, or use a database in a file."
        )
