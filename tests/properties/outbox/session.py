"""The session of a user, and what the ledger says of it."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
from hypothesis import stateful

from outbox.ledger import Entry
from outbox.ledger import Ledger

if t.TYPE_CHECKING:
    import sqlalchemy.orm as sa_orm

    from outbox.shop import Shop


class UserSession(stateful.RuleBasedStateMachine):
    """A session of a user, and what the ledger says of it."""

    shop: Shop

    def __init__(self) -> None:
        """Begin with empty tables."""
        super().__init__()
        self.shop.reset()
        self.ledger = Ledger()
        self.count = 0
        #: The instances that the user has.
        self.instances: dict[int, t.Any] = {}
        self.handles: list[sa_orm.SessionTransaction] = []
        #: Whether the open transaction has written anything.
        self.has_written = False
        #: Whether the last run has kept all promises.
        self.is_sound = True

    @property
    def session(self) -> sa_orm.Session:
        """The session of the user."""
        return self.shop.db.session()

    @property
    def own(self) -> list[int]:
        """The signals that this transaction has added, and whose instances we have."""
        return [
            number
            for number, signal in self.instances.items()
            if number in self.ledger.now.recorded and signal in self.session
        ]

    @property
    def old(self) -> list[int]:
        """The committed signals that this transaction has left alone."""
        return [
            number
            for number in self.ledger.committed
            if number in self.ledger.now.rows and number not in self.ledger.touched
        ]

    @property
    def seats(self) -> list[int]:
        """The signals whose key is known, in so far as they are written."""
        rows = self.ledger.now.rows.values()
        known = {*self.own, *self.old} - self.ledger.fresh
        return [
            row.number for row in rows if row.model == "Seat" and row.number in known
        ]

    @property
    def is_unwritten(self) -> bool:
        """Whether the session has anything to write."""
        session = self.session
        return bool(session.new or session.dirty or session.deleted)

    def _query(self, name: str) -> None:
        model: t.Any = self.shop.models.signals[name]
        self._note_writing()
        numbers = {signal.number for signal in self.session.scalars(sa.select(model))}
        self.ledger.flush()
        rows = self.ledger.now.rows.values()

        if self.shop.sees_commits:
            assert {row.number for row in rows if row.model == name} == numbers

    def _begin_nested(self) -> None:
        if self.shop.is_sqlite:  # or its driver begins no transaction
            with self.session.no_autoflush:
                note = sa.insert(self.shop.models.note)
                self.session.execute(note, {"text": "savepoint"})
            self.has_written = True
        self._note_writing()
        self.handles.append(self.session.begin_nested())
        self.ledger.begin_nested()

    def _release(self) -> None:
        self._note_writing()
        self.handles.pop().commit()
        self.ledger.release()

    def _rollback_to(self, depth: int) -> None:
        self.handles[depth].rollback()
        del self.handles[depth:]
        self.ledger.rollback_to(depth)
        self._keep_known()

    def _insert(self, name: str, values: dict[str, t.Any], way: str) -> None:
        model = self.shop.models.signals[name]
        if way == "insert":
            self.session.execute(sa.insert(model), [values])
        elif way == "core":
            self.session.execute(sa.insert(self.shop.models.table(name)), [values])
        elif way == "bulk_save_objects":
            self.session.bulk_save_objects([model(**values)])
        else:
            self.session.bulk_insert_mappings(sa.inspect(model), [values])

    def _delete(self, number: int) -> None:
        if number in self.ledger.fresh:
            self._flush()
        self.session.delete(self.instances.pop(number))
        self.ledger.delete(number)

    def _expunge(self, number: int) -> None:
        signal = self.instances.pop(number)
        if number not in self.ledger.fresh or hasattr(signal, "parent_id"):
            self._flush()  # or what was changed is lost; and so that no parent has it
        self.session.expunge(signal)
        self.ledger.expunge(number)

    def _ended(self) -> None:
        """Note that there is no transaction any more."""
        self.handles.clear()
        self.instances.clear()
        self.has_written = False

    def _keep_known(self) -> None:
        """Forget the instances that went down with a savepoint."""
        session, rows = self.session, self.ledger.now.rows
        self.instances = {
            number: signal
            for number, signal in self.instances.items()
            if number in rows and signal in session
        }

    def _flush(self) -> None:
        self._note_writing()
        self.session.flush()
        self.ledger.flush()

    def _note_writing(self) -> None:
        self.has_written = self.has_written or self.is_unwritten

    def _modify(self, number: int) -> None:
        self.count += 1
        text = f"text {self.count}"
        self.instances[number].text = text
        self.ledger.modify(number, text)

    def _load(self, number: int) -> t.Any:
        """Return the instance of a signal that is written."""
        entry = self.ledger.now.rows[number]
        model: t.Any = self.shop.models.signals[entry.model]
        query = sa.select(model).where(model.number == number)
        with self.session.no_autoflush:
            signal = self.session.scalars(query).one()
        self.instances[number] = signal
        return signal

    def _new(self, what: tuple[str, str], **given: t.Any) -> tuple[int, t.Any]:
        """Make a new signal, which is going to be added."""
        name, account = what
        values = {**self._values(name, account), **given}
        signal = self.shop.models.signals[name](**values)
        if name == "Lined":
            signal.lines = [self.shop.models.line(text=x) for x in account]
        self.ledger.add(entry_of(name, values))
        return values["number"], signal

    def _values(self, name: str, account: str) -> dict[str, t.Any]:
        self.count += 1
        number = self.count
        values = {
            "account": account,
            "number": number,
            "rank": number * 5 % 3,
            "text": f"text {number}",
        }
        if name == "Seat":
            values["id"] = number
        return values


def entry_of(name: str, values: dict[str, t.Any]) -> Entry:
    """Return what the ledger says of a signal that has these *values*."""
    return Entry(values["number"], name, values["text"], values["account"])
