"""Step 1, record: find out which signals a transaction really persists.

A signal is recorded when its INSERT has been executed, under the (nested) transaction
that executed it. A savepoint that is released passes its records on to the transaction
around it; one that is rolled back drops them, and so does an expunge. Records are
primary keys, not instances, so that a large transaction keeps no instances alive.

SQLAlchemy sorts the inserts of a flush. So each record has the time of its ``add``.

Every commit of an application comes through here, with signals or without: the
listeners are few, and do little.
"""

from __future__ import annotations

import typing as t
import weakref

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

if t.TYPE_CHECKING:
    from signalbus.typing import PrimaryKey
    from signalbus.typing import Recorded
    from signalbus.typing import SignalModel

#: When a signal was added: the number of the flush, and the signal's place in it.
Added: t.TypeAlias = tuple[int, int]

#: The records of one transaction; ``None`` for signals that it has deleted.
Records: t.TypeAlias = "dict[tuple[SignalModel, PrimaryKey], Added | None]"

#: Key in the ``info`` of a session that has records: its :class:`Journal`.
JOURNAL = "signalbus.journal"


class State(t.Protocol):
    """What SQLAlchemy knows of an instance whose row has been in the database.

    Listeners get it with less work than the instance.
    """

    @property
    def class_(self) -> SignalModel:
        """The class of the instance."""

    @property
    def identity(self) -> PrimaryKey:
        """Its primary key."""

    @property
    def insert_order(self) -> int | None:
        """Its place among what was added since the last flush."""


class Journal:
    """What one session has recorded in its present outermost transaction."""

    def __init__(self) -> None:
        #: The records of each transaction that is open.
        self.open: dict[sa_orm.SessionTransaction, Records] = {}
        #: The records of the outermost transaction, once that has committed.
        self.committed: Records = {}
        #: How many flushes have ended.
        self.flushes = 0


class Recorder:
    """Follow the transactions of all sessions of one ``db.session``.

    :param is_recorded: returns whether instances of a class are recorded.
    :param committed: called after each commit that persisted some of them, when the
        session is ready for its next transaction and has returned its connection.
    """

    def __init__(
        self,
        is_recorded: t.Callable[[type[t.Any]], bool],
        committed: t.Callable[[Recorded], None],
    ) -> None:
        self._is_recorded = is_recorded
        self._committed = committed

    def listen(self, sessions: sa_orm.scoped_session[t.Any]) -> None:
        """Begin to follow *sessions*, as long as this lives.

        SQLAlchemy keeps listeners for ever. So they must not hold what leads to the
        session's class: the bus and its database.
        """
        of_states: dict[str, t.Callable[..., None]] = {
            "pending_to_persistent": _weakly(self, Recorder._record),
            "persistent_to_deleted": _weakly(self, Recorder._record_deletion),
            "persistent_to_detached": _forget,
        }
        of_transactions: dict[str, t.Callable[..., None]] = {
            "after_commit": _pass_on,
            "after_transaction_end": _weakly(self, Recorder._end),
        }
        for event, listener in of_states.items():
            sa.event.listen(sessions, event, listener, raw=True)
        for event, listener in of_transactions.items():
            sa.event.listen(sessions, event, listener)

    def _record(self, session: sa_orm.Session, state: State) -> None:
        """Record an instance that was just inserted."""
        if self._is_recorded(state.class_):
            journal: Journal | None = session.info.get(JOURNAL)
            if journal is None:
                journal = session.info[JOURNAL] = Journal()
            records = journal.open.setdefault(_current_transaction(session), {})
            added = (journal.flushes, state.insert_order or 0)
            records[state.class_, state.identity] = added

    def _record_deletion(self, session: sa_orm.Session, state: State) -> None:
        """Record that an instance was deleted, unless a savepoint undoes that."""
        journal: Journal | None = session.info.get(JOURNAL)
        if journal is not None and self._is_recorded(state.class_):
            records = journal.open.setdefault(_current_transaction(session), {})
            records[state.class_, state.identity] = None

    def _end(
        self, session: sa_orm.Session, transaction: sa_orm.SessionTransaction
    ) -> None:
        """Drop what was rolled back; report what was committed."""
        journal: Journal | None = session.info.get(JOURNAL)
        if journal is None:
            return
        journal.open.pop(transaction, None)
        if transaction.parent is None:
            del session.info[JOURNAL]
            recorded = _in_order(journal.committed)
            if recorded:
                self._committed(recorded)
        elif not transaction.nested:  # each flush is a transaction in the transaction
            journal.flushes += 1


def _weakly(
    recorder: Recorder, method: t.Callable[[Recorder, sa_orm.Session, t.Any], None]
) -> t.Callable[[sa_orm.Session, t.Any], None]:
    """Return a listener that calls a *method* of *recorder* while that lives."""
    weak_recorder = weakref.ref(recorder)

    def listener(session: sa_orm.Session, subject: object) -> None:
        alive = weak_recorder()
        if alive is not None:
            method(alive, session, subject)

    return listener


def _forget(session: sa_orm.Session, state: State) -> None:
    """Drop the record of an instance that was expunged: its row stays pending."""
    journal: Journal | None = session.info.get(JOURNAL)
    if journal is not None:
        for records in journal.open.values():
            records.pop((state.class_, state.identity), None)


def _pass_on(session: sa_orm.Session) -> None:
    """Pass the records of a savepoint on to the transaction around it."""
    journal: Journal | None = session.info.get(JOURNAL)
    if journal is None:
        return
    transaction = _current_transaction(session)
    records = journal.open.pop(transaction, {})
    if not transaction.nested:
        journal.committed = records
    elif records:
        journal.open.setdefault(_around(transaction), {}).update(records)


def _current_transaction(session: sa_orm.Session) -> sa_orm.SessionTransaction:
    """Return the savepoint, or else the transaction, that *session* is in."""
    current: t.Any = session.get_nested_transaction() or session.get_transaction()
    return current  # type: ignore[no-any-return]  # in a listener, there is one


def _around(transaction: sa_orm.SessionTransaction) -> sa_orm.SessionTransaction:
    """Return the savepoint or transaction around a savepoint."""
    around = t.cast("sa_orm.SessionTransaction", transaction.parent)
    while around.parent is not None and not around.nested:
        around = around.parent
    return around


def _in_order(records: Records) -> Recorded:
    """Sort keys by when they were added, and models by their first signal."""
    added = {signal: at for signal, at in records.items() if at is not None}
    recorded: dict[SignalModel, list[PrimaryKey]] = {}
    for model, key in sorted(added, key=added.__getitem__):
        recorded.setdefault(model, []).append(key)
    return recorded
