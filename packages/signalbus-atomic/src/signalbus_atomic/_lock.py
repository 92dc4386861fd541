"""Give atomic blocks on SQLite what they have elsewhere: no update is lost."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    import sqlalchemy as sa


def lock_sqlite(connection: sa.Connection) -> None:
    """Begin the transaction of a block on SQLite with its one lock.

    Python's driver leaves a SELECT outside of any transaction, and SQLite has no row
    locks. A transaction that has begun is left as it is, and so is every other
    database.
    """
    if connection.dialect.name != "sqlite":
        return
    if getattr(connection.connection.dbapi_connection, "in_transaction", True):
        return
    connection.exec_driver_sql("BEGIN IMMEDIATE")
