"""Listen to sessions, so that only the atomic block itself ends its transaction."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from signalbus_atomic import _lock
from signalbus_atomic import _transaction
from signalbus_atomic._attempt import current_attempt
from signalbus_atomic.exceptions import AtomicBlockError

if t.TYPE_CHECKING:
    import sqlalchemy.orm as sa_orm


def listen_to_all(sessions: sa_orm.scoped_session[t.Any]) -> None:
    """Listen to all sessions of *sessions*."""
    # Two come before all other listeners: those must not run for a commit that is
    # refused, and if they fail after a commit, the commit must be known already.
    sa.event.listen(sessions, "before_commit", _refuse_commit, insert=True)
    sa.event.listen(sessions, "after_commit", _mark_as_committed, insert=True)
    sa.event.listen(sessions, "after_begin", _add_connection)
    sa.event.listen(sessions, "after_flush", _mark_as_flushed)
    sa.event.listen(sessions, "after_transaction_end", _end_transaction)


def listen_to_rollbacks(session: sa_orm.Session) -> None:
    """Listen to the rollbacks of *session*, after all other listeners."""
    if not sa.event.contains(session, "after_soft_rollback", _refuse_rollback):
        sa.event.listen(session, "after_soft_rollback", _refuse_rollback)


def _refuse_commit(session: sa_orm.Session) -> None:
    attempt = current_attempt(session)
    if attempt and not attempt.is_ending and not session.in_nested_transaction():
        raise AtomicBlockError(
            "db.session.commit() was called inside an atomic block, which commits when"
            " its function returns. Remove the call, or flush with db.session.flush()."
        )


def _refuse_rollback(
    session: sa_orm.Session, transaction: sa_orm.SessionTransaction
) -> None:
    attempt = current_attempt(session)
    if attempt and not attempt.is_ending and transaction.parent is None:
        raise AtomicBlockError(
            "db.session.rollback() was called inside an atomic block, which rolls back"
            " when its function raises. Raise an exception. To undo only a part, run it"
            " in a `with db.session.begin_nested()` block."
        )


def _mark_as_committed(session: sa_orm.Session) -> None:
    attempt = current_attempt(session)
    if attempt and not session.in_nested_transaction():
        attempt.is_committed = True


def _add_connection(
    session: sa_orm.Session,
    _begun: sa_orm.SessionTransaction,
    connection: sa.Connection,
) -> None:
    _transaction.add_connection(session, connection)
    if current_attempt(session):
        _lock.lock_sqlite(connection)


def _mark_as_flushed(session: sa_orm.Session, _context: object) -> None:
    _transaction.mark_as_flushed(session)


def _end_transaction(
    session: sa_orm.Session, transaction: sa_orm.SessionTransaction
) -> None:
    if transaction.parent is not None:
        return
    _transaction.forget(session)
    attempt = current_attempt(session)
    if attempt and not attempt.is_ending:
        attempt.is_ended_by_user = True
