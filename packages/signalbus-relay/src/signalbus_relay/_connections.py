"""Connections in autocommit mode, from a pool or outside of it."""

from __future__ import annotations

import contextlib
import os
import socket
import typing as t

if t.TYPE_CHECKING:
    import sqlalchemy as sa

#: What is set on the socket of a connection over TCP, where the system has it. Without
#: it, the system notices only after many minutes that a network is dead.
_TCP_OPTIONS: t.Final = (
    ("TCP_KEEPIDLE", 15),  # seconds
    ("TCP_KEEPINTVL", 5),  # seconds
    ("TCP_KEEPCNT", 3),
    ("TCP_USER_TIMEOUT", 30_000),  # milliseconds
)


def open_connection(engine: sa.Engine) -> t.Any:
    """Open a driver's connection as *engine* would, which commits each statement.

    It does not use the engine's pool, so an exhausted pool does not matter. The
    application's listeners for new connections are called.
    """
    pooled = engine.pool.recreate().connect()
    pooled.detach()
    connection: t.Any = pooled.dbapi_connection
    try:
        connection.commit()  # whatever listeners of the application have begun
        engine.dialect.set_isolation_level(connection, "AUTOCOMMIT")
        _prepare_nothing(connection)
        _notice_dead_network(connection)
    except BaseException:
        close(connection)
        raise
    return connection


@contextlib.contextmanager
def autocommit(engine: sa.Engine) -> t.Iterator[sa.Connection]:
    """Open a connection from the pool of *engine*, which commits each statement.

    SQLAlchemy's own option would reset the connection while it is returned to the pool.
    If the connection is broken at that moment, its place in the pool is lost.
    """
    with engine.connect() as connection:
        driver: t.Any = connection.connection.dbapi_connection
        try:
            engine.dialect.set_isolation_level(driver, "AUTOCOMMIT")
        except engine.dialect.loaded_dbapi.Error:
            connection.exec_driver_sql("SELECT 1")  # says that it has died in the pool
            raise
        try:
            yield connection
        finally:
            _restore(connection, driver)


def _restore(connection: sa.Connection, driver: t.Any) -> None:
    """Switch *connection* back to transactions, or take it out of the pool."""
    if not connection.invalidated:
        try:
            connection.dialect.reset_isolation_level(driver)
        except Exception:  # noqa: BLE001 broken in whatever way
            connection.invalidate()


def close(connection: t.Any) -> None:
    """Close a driver's *connection*, even if it is broken."""
    with contextlib.suppress(Exception):
        connection.close()


def _prepare_nothing(connection: t.Any) -> None:
    """Disable prepared statements: pgbouncer may send each to another server."""
    if hasattr(connection, "prepare_threshold"):
        connection.prepare_threshold = None


def _notice_dead_network(connection: t.Any) -> None:
    """Let the operating system close the connection when the network is dead."""
    with (
        contextlib.suppress(Exception),  # not every driver and system has a say in it
        socket.socket(fileno=os.dup(connection.fileno())) as own,
    ):
        _set_tcp_options(own)


def _set_tcp_options(own: socket.socket) -> None:
    if own.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _TCP_OPTIONS:
        option = getattr(socket, name, None)
        if option is not None:
            own.setsockopt(socket.IPPROTO_TCP, option, value)
