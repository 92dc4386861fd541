"""Prevent lost updates in atomic blocks on SQLite."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    import sqlalchemy as sa


def lock_sqlite(connection: sa.Connection) -> None:
    """Begin the transaction of a block on SQLite by locking the database.

    SQLite has no row locks, and Python's driver does not begin a transaction for a
    ``SELECT``. Does nothing if a transaction has begun, or on another database.
    """
    if connection.dialect.name != "sqlite":
        return
    if getattr(connection.connection.dbapi_connection, "in_transaction", True):
        return
    connection.exec_driver_sql("BEGIN IMMEDIATE")
