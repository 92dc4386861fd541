"""Track the outcome of all signals that were added to sessions during a test.

The outcome is that which the sessions see: a signal is committed when ``commit()``
returns, even if that has only released a savepoint of the test's own transaction.
"""

from __future__ import annotations

import contextlib
import enum
import threading
import typing as t
import weakref

from signalbus import SignalModelError
from signalbus.rows import SignalRows

from signalbus_pytest._snapshot import Entry

if t.TYPE_CHECKING:
    import sqlalchemy as sa
    import sqlalchemy.orm as sa_orm
    from signalbus import SignalBus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

#: The signals of one transaction, including those that it has deleted.
Records: t.TypeAlias = "dict[tuple[SignalModel, PrimaryKey], Entry]"

#: A number of rows larger than any test inserts.
MANY: t.Final = 1_000_000


class Fate(enum.Enum):
    """The outcome of a signal, in words that follow "was"."""

    COMMITTED = "committed"
    UNCOMMITTED = "not committed"
    ROLLED_BACK = "rolled back"
    ABANDONED = "given up by its session before a commit"
    DELETED = "deleted before the commit"


class SessionRecords:
    """The signals of one session, in its current outermost transaction."""

    def __init__(self) -> None:
        self.open: dict[sa_orm.SessionTransaction, Records] = {}
        self.committed: Records = {}
        #: The signals that were inserted by a session flush that has not ended yet.
        self.inserted: list[Entry] = []
        self.flushes = 0
        self.is_rolling_back = False

    def of(self, transaction: sa_orm.SessionTransaction) -> Records:
        """Return the records of *transaction*."""
        return self.open.setdefault(transaction, {})

    def all(self) -> Records:
        """Return the signals that a commit would record or delete."""
        merged: Records = {}
        for records in self.open.values():
            merged.update(records)
        return merged

    def entries(self) -> list[Entry]:
        """Return the entries of the signals that a commit would record."""
        return [entry for entry in self.all().values() if not entry.is_deleted]

    def has(self, entry: Entry) -> bool:
        """Return whether the signal of *entry* was inserted in this transaction."""
        signal = (entry.model, entry.key or ())
        return any(signal in records for records in self.open.values())


class Journal:
    """Follows all sessions; its methods are listeners, named after their events.

    :param committed: called after each commit that recorded signals, when the session
        is ready for its next transaction.
    """

    def __init__(
        self,
        bus: SignalBus,
        committed: t.Callable[[t.Sequence[Entry]], object] = lambda _: None,
    ) -> None:
        #: The committed signals, in the order of the commits.
        self.committed: list[Entry] = []
        #: The signals that will not be committed any more, and why.
        self.lost: list[tuple[Fate, Entry]] = []
        self._bus = bus
        self._notify = committed
        self._sessions: weakref.WeakKeyDictionary[sa_orm.Session, SessionRecords] = (
            weakref.WeakKeyDictionary()
        )
        self._lock = threading.Lock()

    def uncommitted(self) -> list[Entry]:
        """Return what commits of the sessions would record now."""
        with self._lock:
            sessions = list(self._sessions.items())
        found = []
        for session, records in sessions:
            flushed = records.entries()
            for entry in flushed:
                entry.update()
            found += sorted(flushed, key=lambda entry: entry.added)
            found += [Entry.of(each) for each in session.new if self._is_ours(each)]
        return found

    def clear(self) -> None:
        """Forget all that was committed or lost."""
        self.committed.clear()
        self.lost.clear()

    def transient_to_pending(self, session: sa_orm.Session, instance: object) -> None:
        """Know the sessions that have signals."""
        if self._is_ours(instance):
            self._records(session)

    def pending_to_transient(self, session: sa_orm.Session, instance: object) -> None:
        """Note a signal that its session gave up before it was inserted."""
        if self._is_ours(instance):
            is_rolling_back = self._records(session).is_rolling_back
            fate = Fate.ROLLED_BACK if is_rolling_back else Fate.ABANDONED
            self.lost.append((fate, Entry.of(instance).close()))

    def pending_to_persistent(self, session: sa_orm.Session, instance: object) -> None:
        """Record a signal that was just inserted."""
        if self._is_ours(instance):
            records = self._records(session)
            entry = Entry.of(instance, records.flushes)
            records.inserted.append(entry)
            self._add(session, entry)

    def persistent_to_deleted(self, session: sa_orm.Session, instance: object) -> None:
        """Note that a signal was deleted, unless a savepoint undoes that."""
        records = self._sessions.get(session)
        if records is None or not self._is_ours(instance):
            return
        entry = Entry.of(instance).close()
        if records.has(entry):
            entry.is_deleted = True
            self._add(session, entry)

    def after_flush_postexec(self, session: sa_orm.Session, _: object) -> None:
        """Read what the database has generated for signals that were just inserted."""
        records = self._sessions.get(session)
        if records is not None:
            records.flushes += 1
            inserted, records.inserted = records.inserted, []
            for entry in inserted:
                entry.complete()

    def before_commit(self, session: sa_orm.Session) -> None:
        """Read what the session has expired."""
        records = self._sessions.get(session)
        if records is not None:
            for entry in records.entries():
                entry.complete()

    def after_commit(self, session: sa_orm.Session) -> None:
        """Pass the records of a savepoint on to the transaction around it."""
        records = self._sessions.get(session)
        if records is None:
            return
        transaction = _ending(session)
        if transaction.nested:
            own = records.open.pop(transaction, None)
            if own:
                records.of(_around(transaction)).update(own)
            return
        records.committed = records.all()
        records.open.clear()
        for entry in records.committed.values():
            entry.close()

    def after_rollback(self, session: sa_orm.Session) -> None:
        """Note what was rolled back."""
        records = self._sessions.get(session)
        if records is not None:
            records.is_rolling_back = True
            self._lose(records, _ending(session), Fate.ROLLED_BACK)

    def after_soft_rollback(self, session: sa_orm.Session, _: object) -> None:
        """Know that the rollback is over."""
        records = self._sessions.get(session)
        if records is not None:
            records.is_rolling_back = False

    def after_transaction_end(
        self, session: sa_orm.Session, transaction: sa_orm.SessionTransaction
    ) -> None:
        """Note what was committed, and what the session has given up."""
        records = self._sessions.get(session)
        if records is None:
            return
        self._lose(records, transaction, Fate.ABANDONED)
        if transaction.parent is None:
            entries, records.committed = records.committed.values(), {}
            self._commit(sorted(entries, key=lambda entry: entry.added))

    def do_orm_execute(self, state: sa_orm.ORMExecuteState) -> sa.Result[t.Any] | None:
        """Record the signals that a session inserts in bulk."""
        mapper = state.bind_mapper
        if not (state.is_insert and mapper and self._can_read(mapper.class_)):
            return None
        rows = SignalRows(self._bus, mapper.class_)
        connection = state.session.connection(bind_arguments={"mapper": mapper})
        before = set(rows.first(connection, MANY))
        result = state.invoke_statement()
        keys = [key for key in rows.first(connection, MANY) if key not in before]
        values = rows.read(connection, keys)
        records = self._records(state.session)
        for place, key in enumerate(keys):
            added = (records.flushes, place)
            entry = Entry(mapper.class_, values[key], key=key, added=added)
            self._add(state.session, entry)
        records.flushes += 1
        return result

    def _can_read(self, model: type[t.Any]) -> bool:
        """Return whether *model* is a signal model, and rightly declared."""
        with contextlib.suppress(SignalModelError):
            self._bus.declaration(model)
            return True
        return False

    def _add(self, session: sa_orm.Session, entry: Entry) -> None:
        records = self._records(session).of(_current(session))
        records[entry.model, entry.key or ()] = entry

    def _commit(self, entries: t.Sequence[Entry]) -> None:
        committed = [entry for entry in entries if not entry.is_deleted]
        self.lost += [(Fate.DELETED, entry) for entry in entries if entry.is_deleted]
        if committed:
            with self._lock:
                self.committed += committed
            self._notify(committed)

    def _lose(
        self,
        records: SessionRecords,
        transaction: sa_orm.SessionTransaction,
        fate: Fate,
    ) -> None:
        """Note that the signals of a *transaction* will not be committed."""
        own = records.open.pop(transaction, {}).values()
        self.lost += [(fate, entry.close()) for entry in own if not entry.is_deleted]

    def _records(self, session: sa_orm.Session) -> SessionRecords:
        with self._lock:
            return self._sessions.setdefault(session, SessionRecords())

    def _is_ours(self, instance: object) -> bool:
        return self._bus.is_signal_model(type(instance))


def _current(session: sa_orm.Session) -> sa_orm.SessionTransaction:
    """Return the savepoint, or else the transaction, that *session* is in."""
    current: t.Any = session.get_nested_transaction() or session.get_transaction()
    return t.cast("sa_orm.SessionTransaction", current)


def _ending(session: sa_orm.Session) -> sa_orm.SessionTransaction:
    """Return the transaction that *session* is committing or rolling back.

    A test may begin a new savepoint whenever one ends, which the commit of the
    transaction then finds.
    """
    current = _current(session)
    root = t.cast("sa_orm.SessionTransaction", session.get_transaction())
    return root if current.is_active else current


def _around(transaction: sa_orm.SessionTransaction) -> sa_orm.SessionTransaction:
    """Return the savepoint or transaction around a savepoint."""
    around = t.cast("sa_orm.SessionTransaction", transaction.parent)
    while around.parent is not None and not around.nested:
        around = around.parent
    return around
