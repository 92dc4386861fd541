"""The model: what a few lists and dicts say about transactions and their signals."""

from __future__ import annotations

import dataclasses
import typing as t


@dataclasses.dataclass(frozen=True)
class Entry:
    """A signal: *number* is its own for ever, whatever its primary key is."""

    number: int
    model: str
    text: str
    account: str


@dataclasses.dataclass
class Frame:
    """What a transaction sees and has recorded, at the beginning of a savepoint."""

    rows: dict[int, Entry]
    #: The numbers of the signals that it has added, in that order.
    recorded: list[int]

    def copy(self) -> Frame:
        """Return another frame that is equal."""
        return Frame(dict(self.rows), list(self.recorded))


class Ledger:
    """What is committed, and what the open transaction of the user has made of it."""

    def __init__(self) -> None:
        """Begin with nothing."""
        #: What everybody sees: the pending signals.
        self.committed: dict[int, Entry] = {}
        #: What the user sees.
        self.now = Frame({}, [])
        #: What to return to: one frame for each open savepoint.
        self.savepoints: list[Frame] = []
        #: The signals that the session has not written yet.
        self.fresh: set[int] = set()
        #: Committed signals on which the transaction may have a lock.
        self.touched: set[int] = set()
        #: Whether signals have the order in which they were added. SQLAlchemy gives two
        #: of them the same place when one in front of them is expunged.
        self.has_order = True
        #: How often a signal may have been sent without having been confirmed.
        self.excuses: dict[int, int] = {}
        #: How often a signal was sent.
        self.deliveries: dict[int, int] = {}

    # What the user does

    def add(self, entry: Entry) -> None:
        """Add a signal to the session."""
        self.insert(entry)
        self.now.recorded.append(entry.number)
        self.fresh.add(entry.number)

    def insert(self, entry: Entry) -> None:
        """Insert a signal past the session's unit of work."""
        self.now.rows[entry.number] = entry

    def modify(self, number: int, text: str) -> None:
        """Change the text of a signal."""
        entry = self.now.rows[number]
        self.now.rows[number] = dataclasses.replace(entry, text=text)
        self._touch(number)

    def delete(self, number: int) -> None:
        """Delete a signal."""
        del self.now.rows[number]
        self.fresh.discard(number)
        if number in self.now.recorded:
            self.now.recorded.remove(number)
        self._touch(number)

    def expunge(self, number: int) -> None:
        """Let the session forget a signal. No savepoint brings that back."""
        if number in self.fresh:
            self.delete(number)
            self.has_order = False
            return
        for frame in [self.now, *self.savepoints]:
            if number in frame.recorded:
                frame.recorded.remove(number)

    def flush(self) -> None:
        """Write what the session has."""
        self.fresh.clear()

    def begin_nested(self) -> None:
        """Begin a savepoint."""
        self.flush()
        self.savepoints.append(self.now.copy())

    def release(self) -> None:
        """Release the last savepoint."""
        self.flush()
        self.savepoints.pop()

    def rollback_to(self, depth: int) -> None:
        """Roll back to a savepoint, which ends it and those in it."""
        self.now = self.savepoints[depth]
        del self.savepoints[depth:]
        self.fresh.clear()

    def commit(self) -> list[Entry]:
        """Commit, and return the signals that were recorded, as they were added."""
        self.committed = self.now.rows
        recorded = [self.committed[number] for number in self.now.recorded]
        self._begin()
        return recorded

    def rollback(self) -> None:
        """Roll back everything."""
        self._begin()

    # What becomes of signals

    def send(self, numbers: t.Iterable[int]) -> None:
        """Forget signals that were sent and deleted."""
        for number in numbers:
            for rows in self._views():
                rows.pop(number, None)

    def excuse(self, number: int) -> None:
        """Allow that a signal is sent once more."""
        self.excuses[number] = self.excuses.get(number, 0) + 1

    def deliver(self, number: int) -> None:
        """Count that a signal was sent, which may not be again."""
        count = self.deliveries[number] = self.deliveries.get(number, 0) + 1

        assert count <= 1 + self.excuses.get(number, 0), "sent twice"

    @property
    def known(self) -> set[int]:
        """The numbers of all signals that are there, or may come back."""
        return set().union(*self._views())

    def _views(self) -> list[dict[int, Entry]]:
        frames = [self.now, *self.savepoints]
        return [self.committed, *(frame.rows for frame in frames)]

    def _touch(self, number: int) -> None:
        if number in self.committed:
            self.touched.add(number)

    def _begin(self) -> None:
        self.now = Frame(dict(self.committed), [])
        self.has_order = True
        self.savepoints.clear()
        self.fresh.clear()
        self.touched.clear()
