"""Step 3, select: which rows a flush takes next, in what order, and which it leaves.

This is the only thing in which the ways of flushing differ.
"""

from __future__ import annotations

import itertools
import typing as t

from signalbus import stopping
from signalbus._sql import connections

if t.TYPE_CHECKING:
    import sqlalchemy as sa

    from signalbus._burst_result import BurstResult
    from signalbus._lock import LockingStatements
    from signalbus._locked import Burst
    from signalbus._sql.executors import Executor
    from signalbus.typing import HeldBack
    from signalbus.typing import PrimaryKey

#: How many keys are read ahead, without locks: at first, and while all of them are held
#: back. For many more, PostgreSQL may rather read and sort the whole table.
KEYS_AHEAD = 1000
MAX_KEYS_AHEAD = 4000

#: How many windows are read in one transaction at most.
MAX_WINDOWS = 10


class Rows(t.Protocol):
    """The rows of a model that a flush goes through, in their order.

    Nothing of them is left out but what others have locked.
    """

    #: Whether all rows have been passed.
    done: bool

    @property
    def is_exact(self) -> bool:
        """Whether no older signals may be sent in their place."""

    def has(self, key: PrimaryKey) -> bool:
        """Return whether there is a row with *key*; asked if they are exact."""

    @property
    def older(self) -> int:
        """How many older signals of each queue may be sent in front of them."""

    @property
    def is_ordered(self) -> bool:
        """Whether nothing may be sent before what is in front of it."""

    @property
    def is_stuck(self) -> bool:
        """Whether the next row is locked, and must not be passed over."""

    def take(self, statements: LockingStatements, executor: Executor, n: int) -> Burst:
        """Lock the next rows, at most *n*. If called again, try the same ones."""

    def next_keys(
        self, statements: LockingStatements, executor: Executor, n: int
    ) -> t.Sequence[PrimaryKey]:
        """Return the keys that :meth:`take` would lock, and read nothing else."""

    def keys_ahead(
        self, statements: LockingStatements, executor: Executor, n: int
    ) -> t.Sequence[PrimaryKey]:
        """Return the next *n* keys; fewer if there are no more."""

    def window(self, keys: t.Sequence[PrimaryKey]) -> Rows:
        """Return some of the rows: those that have *keys*."""

    def passed(self, burst: Burst, n: int) -> None:
        """Go on behind *burst*, which was taken, whether or not it was sent."""

    def passed_keys(self, keys: t.Sequence[PrimaryKey], n: int) -> None:
        """Go on behind *keys*, of *n* that were to be read ahead."""

    def leave(self, keys: t.Iterable[PrimaryKey]) -> None:
        """Note that *keys* were passed, but might be sent now that others are."""

    @property
    def may_go_again(self) -> bool:
        """Whether any were left."""

    def go_again(self) -> None:
        """Go once more through what was left."""

    def wait(self) -> None:
        """Wait a moment if the next row is locked and must not be passed over."""


class Selection(t.Protocol):
    """The rows of a model that a run may send, burst after burst."""

    #: Whether a signal that is held back holds back all behind it.
    ended: bool

    @property
    def done(self) -> bool:
        """Whether all rows have been passed."""

    @property
    def is_filtered(self) -> bool:
        """Whether some of the rows may be held back."""

    @property
    def must_read_ahead(self) -> bool:
        """Whether to call :meth:`read_ahead` before rows are taken."""

    def of(self, rows: Rows) -> Selection:
        """Return other *rows* under the same conditions."""

    def read_ahead(
        self, statements: LockingStatements, connection: sa.Connection
    ) -> None:
        """Read keys of the next rows, without locks, in a transaction of its own."""

    def take(self, statements: LockingStatements, executor: Executor, n: int) -> Burst:
        """Lock the next rows, at most *n*. If called again, try the same ones."""

    def next_keys(
        self, statements: LockingStatements, executor: Executor, n: int
    ) -> t.Sequence[PrimaryKey]:
        """Return the keys that :meth:`take` would lock, and read nothing else."""

    def without_held(self, connection: sa.Connection, burst: Burst) -> Burst:
        """Return *burst*, which was taken, without what is held back."""

    def passed(self, result: BurstResult, n: int) -> None:
        """Go on behind the rows that were taken, whatever became of them."""

    def wait(self) -> None:
        """Wait a moment if the next row is locked and must not be passed over."""


class PlainSelection:
    """The rows that a flush goes through, without those that plugins hold back.

    It begins as if nothing was held back: rows are locked, then the plugins are asked
    about them. After a burst in which something was held back, keys are read ahead, in
    windows, without locks; what is left of a window is locked by key, and asked about
    again. Behind a window in which nothing was held back, it goes on as it began.

    So plugins that hold nothing back are asked once a burst, and many signals that are
    held back are passed over without being locked, or even read.
    """

    def __init__(
        self, rows: Rows, held: HeldBack | None = None, *, reads_ahead: bool = False
    ) -> None:
        #: Whether a signal that is held back holds back all behind it.
        self.ended = False
        self._all_rows = rows
        self._held = held
        self._reads_ahead = reads_ahead and held is not None
        self._ahead = KEYS_AHEAD
        self._window: Rows | None = None
        #: What was held back among the rows that were taken last.
        self._found: t.Mapping[PrimaryKey, bool] = {}

    def of(self, rows: Rows) -> PlainSelection:
        """Return other *rows* without those that the same plugins hold back."""
        return PlainSelection(rows, self._held)

    @property
    def done(self) -> bool:
        """Whether all rows have been passed."""
        return self._window is None and (self.ended or self._all_rows.done)

    @property
    def is_filtered(self) -> bool:
        """Whether some of the rows may be held back."""
        return self._held is not None

    @property
    def must_read_ahead(self) -> bool:
        """Whether to call :meth:`read_ahead` before rows are taken."""
        return self._reads_ahead and self._window is None

    def read_ahead(
        self, statements: LockingStatements, connection: sa.Connection
    ) -> None:
        """Read windows of keys, in a transaction of its own, up to one to be sent.

        There may be none. If that transaction fails at its end, what it has read is
        good: call this again, and it is kept.
        """
        with connections.transaction(connection):
            for _ in range(MAX_WINDOWS):
                if self._window or self.done:
                    break
                self._read_window(statements, connection)
                if not self._reads_ahead or stopping.is_stopping():
                    break

    def _read_window(
        self, statements: LockingStatements, connection: sa.Connection
    ) -> None:
        """Read the next window of keys, and leave out what is held back."""
        rows, held = self._all_rows, self._held
        keys = rows.keys_ahead(statements, connection, self._ahead)
        found = held.among(connection, keys) if held and keys else {}
        rows.passed_keys(keys, self._ahead)
        free = self._without(found, keys)
        self._ahead = KEYS_AHEAD if free else MAX_KEYS_AHEAD
        self._window = rows.window(free) if free else None
        self._reads_ahead = bool(found)
        self.ended = self._is_end(found)

    def take(self, statements: LockingStatements, executor: Executor, n: int) -> Burst:
        """Lock the next rows, at most *n*. If called again, try the same ones."""
        self._found = {}
        return self._rows.take(statements, executor, n)

    def next_keys(
        self, statements: LockingStatements, executor: Executor, n: int
    ) -> t.Sequence[PrimaryKey]:
        """Return the keys that :meth:`take` would lock, and read nothing else."""
        self._found = {}
        return self._rows.next_keys(statements, executor, n)

    def without_held(self, connection: sa.Connection, burst: Burst) -> Burst:
        """Return *burst*, which was taken, without what is held back."""
        if self._held is None:
            return burst
        self._found = self._held.among(connection, burst.keys)
        if not self._found:
            return burst
        free = set(self._without(self._found, burst.keys))
        return burst.at([n for n, key in enumerate(burst.keys) if key in free])

    def passed(self, result: BurstResult, n: int) -> None:
        """Go on behind the rows that were taken, whatever became of them."""
        rows = self._rows
        rows.passed(result.locked, n)
        if self._held and (self._found or rows.is_stuck):
            self._reads_ahead = True
        if self._is_end(self._found):
            self.ended = True
            self._window = None
        elif rows.done:
            self._window = None

    def wait(self) -> None:
        """Wait a moment if the next row is locked and must not be passed over."""
        self._rows.wait()

    @property
    def _rows(self) -> Rows:
        return self._all_rows if self._window is None else self._window

    def _is_end(self, held: t.Mapping[PrimaryKey, bool]) -> bool:
        """Return whether one that is *held* holds back all behind it."""
        return self._all_rows.is_ordered and any(held.values())

    def _without(
        self, held: t.Mapping[PrimaryKey, bool], keys: t.Sequence[PrimaryKey]
    ) -> t.Sequence[PrimaryKey]:
        """Return those of *keys* that may be sent, up to the end if there is one."""
        if not held:
            return keys
        if len(held) == len(keys):
            return ()
        if self._is_end(held):
            keys = list(itertools.takewhile(lambda key: not held.get(key), keys))
        return list(itertools.filterfalse(held.__contains__, keys))
