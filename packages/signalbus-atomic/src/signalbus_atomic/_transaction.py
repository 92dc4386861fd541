"""What is known of a session's transaction; it is kept in the session's ``info``."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    import sqlalchemy as sa
    import sqlalchemy.orm as sa_orm

CONNECTIONS = "signalbus_atomic.connections"
FLUSHED = "signalbus_atomic.flushed"


def connections(session: sa_orm.Session) -> set[sa.Connection]:
    """Return the connections that the transaction of *session* uses."""
    return t.cast("set[sa.Connection]", session.info.get(CONNECTIONS, set()))


def add_connection(session: sa_orm.Session, connection: sa.Connection) -> None:
    """Record that the transaction of *session* uses *connection*."""
    session.info.setdefault(CONNECTIONS, set()).add(connection)


def mark_as_flushed(session: sa_orm.Session) -> None:
    """Record that the transaction of *session* has changed the database."""
    session.info[FLUSHED] = True


def has_changes(session: sa_orm.Session) -> bool:
    """Return whether *session* has uncommitted changes, flushed or not."""
    return bool(
        session.info.get(FLUSHED) or session.new or session.dirty or session.deleted
    )


def forget(session: sa_orm.Session) -> None:
    """Forget the transaction of *session*, which is over."""
    session.info.pop(CONNECTIONS, None)
    session.info.pop(FLUSHED, None)
