"""What rows are read and deleted with: a connection, or a session on it."""

from __future__ import annotations

import contextlib
import typing as t

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

#: A connection for rows, a session for instances.
Executor: t.TypeAlias = sa.Connection | sa_orm.Session


def connection_of(executor: Executor) -> sa.Connection:
    """Return the connection that *executor* works on."""
    return executor if isinstance(executor, sa.Connection) else executor.connection()


def session_on(connection: sa.Connection) -> sa_orm.Session:
    """Return a session that works in the transaction of *connection*."""
    return sa_orm.Session(
        connection, autoflush=False, join_transaction_mode="rollback_only"
    )


def executor_for(
    connection: sa.Connection, *, as_rows: bool
) -> contextlib.AbstractContextManager[Executor]:
    """Open what signals are read with: a session if they are to be instances."""
    return contextlib.nullcontext(connection) if as_rows else session_on(connection)
