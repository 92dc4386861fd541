"""Lend connections and transactions of signalbus's own, as a flush needs them.

SQLite has no row locks: there ``BEGIN IMMEDIATE`` lets in one flusher at a time.
"""

from __future__ import annotations

import contextlib
import typing as t
import weakref

import sqlalchemy as sa
import sqlalchemy.pool as sa_pool

from signalbus.exceptions import SignalBusError

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy

    from signalbus._discover import Declaration

ISOLATION = "READ COMMITTED"

#: What :func:`_is_read_committed` found.
_read_committed: weakref.WeakKeyDictionary[sa.Engine, bool] = (
    weakref.WeakKeyDictionary()
)


@contextlib.contextmanager
def connect(
    db: SQLAlchemy, declaration: Declaration, *, wait_for_disk: bool = True
) -> t.Iterator[sa.Connection]:
    """Lend a connection of signalbus's own, at the isolation level that suits it.

    At READ COMMITTED a row that somebody else has deleted is passed over; at higher
    levels it would be a serialization failure.

    :param wait_for_disk: whether PostgreSQL writes commits to disk before it answers.
    """
    engine = _engine(db, declaration)
    _refuse_shared_connection(engine)
    options: dict[str, t.Any] = {"signalbus_wait_for_disk": wait_for_disk}
    if engine.dialect.name != "sqlite" and not _is_read_committed(engine):
        options["isolation_level"] = ISOLATION
    with engine.connect() as connection:
        if isinstance(engine.pool, sa_pool.SingletonThreadPool):
            _refuse_open_transaction(connection.connection.dbapi_connection)
        _set_options(connection, options)
        yield connection


def _set_options(connection: sa.Connection, options: t.Mapping[str, t.Any]) -> None:
    """Set execution options; one of them, the level, may need the server for it.

    A connection that died in the pool is found out by that, and SQLAlchemy takes note
    of it only if it happens in a statement.
    """
    try:
        connection.execution_options(**options)
    except connection.dialect.loaded_dbapi.Error:
        connection.exec_driver_sql("SELECT 1")
        raise


def _renew(connection: sa.Connection) -> None:
    """Replace a connection that was lost by one at the same isolation level.

    SQLAlchemy would take one at the engine's level. If that is AUTOCOMMIT, locks do not
    hold, and a row that is deleted before it is sent does not come back.
    """
    level = connection.get_execution_options().get("isolation_level")
    if connection.invalidated and level is not None:
        _set_options(connection, {"isolation_level": level})


def _is_read_committed(engine: sa.Engine) -> bool:
    """Tell whether connections of *engine* have the right level without being told.

    Only asked of PostgreSQL, where it is the usual level; elsewhere it is rare.
    """
    if engine.dialect.name != "postgresql":
        return False
    answer = _read_committed.get(engine)
    if answer is None:
        with engine.connect() as connection:
            has_transactions = not connection.connection.dbapi_connection.autocommit  # type: ignore[union-attr]
            answer = has_transactions and connection.get_isolation_level() == ISOLATION
        _read_committed[engine] = answer
    return answer


def _engine(db: SQLAlchemy, declaration: Declaration) -> sa.Engine:
    """Return the engine of the database that holds a model's table."""
    bind_key = declaration.table.metadata.info.get("bind_key")
    engine = db.engines.get(bind_key)
    if engine is None:
        raise SignalBusError(
            f"The signal model {declaration.model.__name__} is bound to {bind_key!r},"
            " for which the app has no engine. Name it in SQLALCHEMY_BINDS."
        )
    return engine


@contextlib.contextmanager
def transaction(connection: sa.Connection) -> t.Iterator[sa.Transaction]:
    """Run a transaction of signalbus's own on *connection*."""
    _renew(connection)
    with _unprepared(connection), connection.begin() as own:
        if connection.dialect.name == "sqlite":
            _begin_immediate(connection)
        elif not _waits_for_disk(connection):
            connection.exec_driver_sql("SET LOCAL synchronous_commit TO off")
        yield own


@contextlib.contextmanager
def _unprepared(connection: sa.Connection) -> t.Iterator[None]:
    """Let psycopg prepare no statements.

    PostgreSQL keeps the plan of a prepared statement. A plan that was made when the
    table was empty, which it often is, scans all of it when it has filled.
    """
    driver_connection: t.Any = connection.connection.dbapi_connection
    threshold = getattr(driver_connection, "prepare_threshold", None)
    if threshold is None:
        yield
        return
    driver_connection.prepare_threshold = None
    try:
        yield
    finally:
        driver_connection.prepare_threshold = threshold


def _waits_for_disk(connection: sa.Connection) -> bool:
    """Tell whether commits are to be on disk; only PostgreSQL has the choice."""
    if connection.dialect.name != "postgresql":
        return True
    return bool(connection.get_execution_options().get("signalbus_wait_for_disk", True))


def _begin_immediate(connection: sa.Connection) -> None:
    """Lock the SQLite database for writing before anything is read."""
    driver_connection = connection.connection.dbapi_connection
    if getattr(driver_connection, "in_transaction", False):
        connection.exec_driver_sql("ROLLBACK")
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _refuse_shared_connection(engine: sa.Engine) -> None:
    """Refuse to join a transaction that is open on SQLite's only connection."""
    pool = engine.pool
    if isinstance(pool, sa_pool.StaticPool):
        _refuse_open_transaction(pool.connection.dbapi_connection)


def _refuse_open_transaction(driver_connection: object) -> None:
    if getattr(driver_connection, "in_transaction", False):
        raise SignalBusError(
            "A database in memory has one connection, and a transaction is open on it."
            " Commit or roll back before you flush, or use a database in a file."
        )
