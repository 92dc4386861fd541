"""Watch sessions, so that an atomic block alone ends its transaction."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from signalbus_atomic import _lock
from signalbus_atomic import _notes
from signalbus_atomic.exceptions import AtomicBlockError

if t.TYPE_CHECKING:
    import sqlalchemy.orm as sa_orm


def watch_all(sessions: sa_orm.scoped_session[t.Any]) -> None:
    """Begin to watch all sessions of *sessions*."""
    # Inserted: nothing may happen on a commit that is refused, and nothing that
    # happens after a commit may hide that it happened.
    sa.event.listen(sessions, "before_commit", _refuse_commit, insert=True)
    sa.event.listen(sessions, "after_commit", _note_commit, insert=True)
    sa.event.listen(sessions, "after_begin", _note_connection)
    sa.event.listen(sessions, "after_flush", _note_flush)
    sa.event.listen(sessions, "after_transaction_end", _note_end)


def watch(session: sa_orm.Session) -> None:
    """Begin to watch for rollbacks in *session*, after all other listeners."""
    if not sa.event.contains(session, "after_soft_rollback", _refuse_rollback):
        sa.event.listen(session, "after_soft_rollback", _refuse_rollback)


def _refuse_commit(session: sa_orm.Session) -> None:
    attempt = _notes.get_attempt(session)
    if attempt and not attempt.ending and not session.in_nested_transaction():
        raise AtomicBlockError(
            "db.session.commit() was called inside an atomic block, which commits when"
            " its function returns. Remove the call, or flush with db.session.flush()."
        )


def _refuse_rollback(
    session: sa_orm.Session, transaction: sa_orm.SessionTransaction
) -> None:
    attempt = _notes.get_attempt(session)
    if attempt and not attempt.ending and transaction.parent is None:
        raise AtomicBlockError(
            "db.session.rollback() was called inside an atomic block, which rolls back"
            " when its function raises. Raise an exception; to undo only a part, do it"
            " in a `with db.session.begin_nested()`."
        )


def _note_commit(session: sa_orm.Session) -> None:
    attempt = _notes.get_attempt(session)
    if attempt and not session.in_nested_transaction():
        attempt.committed = True


def _note_connection(
    session: sa_orm.Session,
    _transaction: sa_orm.SessionTransaction,
    connection: sa.Connection,
) -> None:
    _notes.connections(session).add(connection)
    if _notes.get_attempt(session):
        _lock.lock_sqlite(connection)


def _note_flush(session: sa_orm.Session, _context: object) -> None:
    _notes.note_flush(session)


def _note_end(session: sa_orm.Session, transaction: sa_orm.SessionTransaction) -> None:
    if transaction.parent is not None:
        return
    _notes.forget_transaction(session)
    attempt = _notes.get_attempt(session)
    if attempt and not attempt.ending:
        attempt.ended_by_hand = True
