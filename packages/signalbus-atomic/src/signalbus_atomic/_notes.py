"""What is noted of a session, in its ``info``."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    import sqlalchemy as sa
    import sqlalchemy.orm as sa_orm

    from signalbus_atomic._attempt import Attempt

ATTEMPT = "signalbus_atomic.attempt"
CONNECTIONS = "signalbus_atomic.connections"
FLUSHED = "signalbus_atomic.flushed"


def get_attempt(session: sa_orm.Session) -> Attempt | None:
    """Return the attempt that *session* is in, if it is in an atomic block."""
    return session.info.get(ATTEMPT)


def set_attempt(session: sa_orm.Session, attempt: Attempt | None) -> None:
    """Note that *session* enters *attempt*, or leaves it."""
    session.info[ATTEMPT] = attempt


def connections(session: sa_orm.Session) -> set[sa.Connection]:
    """Return the connections that *session*'s transaction uses, to be added to."""
    noted: set[sa.Connection] = session.info.setdefault(CONNECTIONS, set())
    return noted


def note_flush(session: sa_orm.Session) -> None:
    """Note that *session*'s transaction has changed the database."""
    session.info[FLUSHED] = True


def has_changes(session: sa_orm.Session) -> bool:
    """Tell whether *session* has changes, flushed or not, that are not committed."""
    return bool(
        session.info.get(FLUSHED) or session.new or session.dirty or session.deleted
    )


def forget_transaction(session: sa_orm.Session) -> None:
    """Forget the transaction of *session* that is over."""
    session.info.pop(CONNECTIONS, None)
    session.info.pop(FLUSHED, None)
