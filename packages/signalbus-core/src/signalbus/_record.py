"""Step 1, record: find out which signals a transaction really persists.

A signal is recorded when its INSERT has been executed, under the (nested) transaction
that executed it. A savepoint that is released passes its records on to the transaction
around it; one that is rolled back drops them, and so does an expunge. Records are
primary keys, not instances, so that a large transaction keeps no instances alive.

SQLAlchemy sorts the inserts of a flush. So each record has the time of its ``add``.
"""

from __future__ import annotations

import operator
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
Records: t.TypeAlias = "dict[SignalModel, dict[PrimaryKey, Added | None]]"

#: Keys in the ``info`` of a session: the records of its open transactions, the number
#: of its flushes, and the records of the transaction that it has just committed.
RECORDS = "signalbus.records"
FLUSHES = "signalbus.flushes"
COMMITTED = "signalbus.committed"


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
        sa.event.listen(sessions, "after_flush", _count_flush)
        methods: dict[str, t.Callable[..., None]] = {
            "pending_to_persistent": self._record,
            "persistent_to_deleted": self._record_deletion,
            "persistent_to_detached": self._forget,
            "after_commit": self._pass_on,
            "after_transaction_end": self._end,
        }
        for event, method in methods.items():
            sa.event.listen(sessions, event, _weakly(method))

    def _record(self, session: sa_orm.Session, instance: object) -> None:
        """Record an instance that was just inserted."""
        if self._is_recorded(type(instance)):
            order = sa.inspect(instance, raiseerr=True).insert_order or 0
            _add(session, instance, (session.info.get(FLUSHES, 0), order))

    def _record_deletion(self, session: sa_orm.Session, instance: object) -> None:
        """Record that an instance was deleted, unless a savepoint undoes that."""
        if session.info.get(RECORDS) and self._is_recorded(type(instance)):
            _add(session, instance, None)

    def _forget(self, session: sa_orm.Session, instance: object) -> None:
        """Drop the record of an instance that was expunged: its row stays pending."""
        for recorded in session.info.get(RECORDS, {}).values():
            recorded.get(type(instance), {}).pop(_identity(instance), None)

    def _pass_on(self, session: sa_orm.Session) -> None:
        """Pass the records of a savepoint on to the transaction around it."""
        records = session.info.get(RECORDS)
        if not records:
            return
        transaction = _current_transaction(session)
        recorded = records.pop(transaction, None)
        if recorded and transaction.nested:
            _merge(records.setdefault(_around(transaction), {}), recorded)
        elif recorded:
            session.info[COMMITTED] = recorded

    def _end(
        self, session: sa_orm.Session, transaction: sa_orm.SessionTransaction
    ) -> None:
        """Drop what was rolled back; report what was committed."""
        records = session.info.get(RECORDS)
        if records is None:
            return
        records.pop(transaction, None)
        if transaction.parent is None:
            del session.info[RECORDS]
            recorded = _in_order(session.info.pop(COMMITTED, {}))
            if recorded:
                self._committed(recorded)


def _weakly(method: t.Callable[..., None]) -> t.Callable[..., None]:
    """Return a listener that calls *method* while its object lives."""
    weak_method = weakref.WeakMethod(method)

    def listener(*args: object) -> None:
        alive = weak_method()
        if alive is not None:
            alive(*args)

    return listener


def _add(session: sa_orm.Session, instance: object, added: Added | None) -> None:
    """Add to the records of the transaction that *session* is in."""
    transaction = _current_transaction(session)
    records = session.info.setdefault(RECORDS, {}).setdefault(transaction, {})
    records.setdefault(type(instance), {})[_identity(instance)] = added


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


def _merge(into: Records, records: Records) -> None:
    for model, keys in records.items():
        into.setdefault(model, {}).update(keys)


def _in_order(records: Records) -> Recorded:
    """Sort models, by their first signal, and keys by when they were added."""
    present = {model: _present(added) for model, added in records.items()}
    models = [(min(added.values()), model) for model, added in present.items() if added]
    models.sort(key=operator.itemgetter(0))
    return {
        model: sorted(present[model], key=present[model].__getitem__)
        for _, model in models
    }


def _present(records: dict[PrimaryKey, Added | None]) -> dict[PrimaryKey, Added]:
    """Return the records of signals that were not deleted again."""
    return {key: added for key, added in records.items() if added is not None}
