"""Step 1, record: note which signals a transaction really persists.

A signal is noted when its INSERT was executed, under the (nested) transaction that
executed it. A savepoint that is released hands its notes to the transaction around it;
one that rolls back drops them, and so does an expunge. Notes are primary keys, not
instances, so that a large transaction keeps nothing alive.

SQLAlchemy sorts the inserts of a flush. So each note says when its signal was added.
"""

from __future__ import annotations

import operator
import typing as t

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

if t.TYPE_CHECKING:
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

#: The primary keys of the signals that a transaction persisted. Models and keys are in
#: the order in which the signals were added.
Recorded: t.TypeAlias = "dict[SignalModel, list[PrimaryKey]]"

#: When a signal was added: the number of the flush, and the signal's place in it.
Added: t.TypeAlias = tuple[int, int]

#: The notes of one transaction.
Notes: t.TypeAlias = "dict[SignalModel, dict[PrimaryKey, Added]]"

#: Where the notes of a session are, in its ``info``.
NOTES = "signalbus.notes"
FLUSHES = "signalbus.flushes"
COMMITTED = "signalbus.committed"


class Recorder:
    """Follow the transactions of all sessions of one ``db.session``.

    :param is_wanted: tells whether instances of a class shall be noted.
    :param committed: called after each commit that persisted some of them, when the
        session is ready for its next transaction and its connection given back.
    """

    def __init__(
        self,
        is_wanted: t.Callable[[type[t.Any]], bool],
        committed: t.Callable[[Recorded], None],
    ) -> None:
        self._is_wanted = is_wanted
        self._committed = committed

    def listen(self, sessions: sa_orm.scoped_session[t.Any]) -> None:
        """Begin to follow *sessions*."""
        sa.event.listen(sessions, "after_flush", _count_flush)
        sa.event.listen(sessions, "pending_to_persistent", self._note)
        sa.event.listen(sessions, "persistent_to_detached", self._forget)
        sa.event.listen(sessions, "after_commit", self._hand_up)
        sa.event.listen(sessions, "after_transaction_end", self._end)

    def _note(self, session: sa_orm.Session, instance: object) -> None:
        """Note an instance that was just inserted."""
        if not self._is_wanted(type(instance)):
            return
        transaction = _current_transaction(session)
        recorded = session.info.setdefault(NOTES, {}).setdefault(transaction, {})
        state = sa.inspect(instance, raiseerr=True)
        added = session.info.get(FLUSHES, 0), state.insert_order or 0
        recorded.setdefault(type(instance), {})[state.identity] = added

    def _forget(self, session: sa_orm.Session, instance: object) -> None:
        """Drop the note of an instance that was expunged: its row stays pending."""
        for recorded in session.info.get(NOTES, {}).values():
            recorded.get(type(instance), {}).pop(_identity(instance), None)

    def _hand_up(self, session: sa_orm.Session) -> None:
        """Hand the notes of a committed transaction to the one around it."""
        notes = session.info.get(NOTES)
        if not notes:
            return
        transaction = _current_transaction(session)
        recorded = notes.pop(transaction, None)
        if recorded and transaction.nested:
            _merge(notes.setdefault(_around(transaction), {}), recorded)
        elif recorded:
            session.info[COMMITTED] = recorded

    def _end(
        self, session: sa_orm.Session, transaction: sa_orm.SessionTransaction
    ) -> None:
        """Drop what was rolled back; announce what was committed."""
        notes = session.info.get(NOTES)
        if notes is None:
            return
        notes.pop(transaction, None)
        if transaction.parent is None:
            del session.info[NOTES]
            recorded = session.info.pop(COMMITTED, None)
            if recorded:
                self._committed(_in_order(recorded))


def _count_flush(session: sa_orm.Session, _: object) -> None:
    session.info[FLUSHES] = session.info.get(FLUSHES, 0) + 1


def _current_transaction(session: sa_orm.Session) -> sa_orm.SessionTransaction:
    """Return the savepoint, or else the transaction, that *session* is in."""
    current = session.get_nested_transaction() or session.get_transaction()
    return t.cast("sa_orm.SessionTransaction", current)


def _around(transaction: sa_orm.SessionTransaction) -> sa_orm.SessionTransaction:
    """Return the savepoint or transaction around a savepoint."""
    around = t.cast("sa_orm.SessionTransaction", transaction.parent)
    while around.parent is not None and not around.nested:
        around = around.parent
    return around


def _identity(instance: object) -> PrimaryKey:
    return t.cast("PrimaryKey", sa.inspect(instance, raiseerr=True).identity)


def _merge(into: Notes, notes: Notes) -> None:
    for model, keys in notes.items():
        into.setdefault(model, {}).update(keys)


def _in_order(notes: Notes) -> Recorded:
    """Sort models, by their first signal, and keys by when they were added."""
    models = [(min(added.values()), model) for model, added in notes.items() if added]
    models.sort(key=operator.itemgetter(0))
    return {
        model: sorted(notes[model], key=notes[model].__getitem__) for _, model in models
    }
