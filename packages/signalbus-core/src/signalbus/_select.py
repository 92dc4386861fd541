"""Step 3, select: which rows a flush takes next, in what order, and which it leaves.

This is the only thing in which the ways of flushing differ.
"""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from signalbus import stopping
from signalbus._held_back import Held
from signalbus._lock import NOTHING
from signalbus._lock import Burst
from signalbus._sql import key_conditions
from signalbus._sql.key_list import KeyList

if t.TYPE_CHECKING:
    import sqlalchemy.orm as sa_orm

    from signalbus._lock import LockingStatements
    from signalbus.typing import HeldBack
    from signalbus.typing import PrimaryKey

Executor: t.TypeAlias = "sa.Connection | sa_orm.Session"

#: How long to wait between looks at rows that others have locked, in seconds.
FIRST_POLL = 0.01
MAX_POLL = 0.25

#: How many keys are read ahead, without locks, if signals are held back.
KEYS_AHEAD = 1000


class Selection(t.Protocol):
    """The rows of a model that a flush goes through, one burst at a time."""

    #: Whether all rows have been passed.
    done: bool

    @property
    def is_filtered(self) -> bool:
        """Whether some of the rows may be held back."""

    def hold_back(self, held: HeldBack) -> Selection:
        """Return a selection of the same rows, without those that are *held* back."""

    def take(self, statements: LockingStatements, executor: Executor, n: int) -> Burst:
        """Lock the next rows, at most *n*. If called again, try the same ones."""

    def next_keys(
        self, statements: LockingStatements, connection: sa.Connection, n: int
    ) -> t.Sequence[PrimaryKey]:
        """Return the keys that :meth:`take` would lock, and read nothing else."""

    def without_held(self, connection: sa.Connection, burst: Burst) -> Burst:
        """Return *burst*, now locked, without what has been held back meanwhile."""

    def passed(self, burst: Burst, n: int) -> None:
        """Go on behind *burst*, which was taken, whether or not it was sent."""

    def wait(self) -> None:
        """Wait a moment if the next row is locked and must not be passed over."""


class KeysetScan:
    """All rows, in the order of the primary key.

    It never goes back. So neither dead rows, nor rows that were kept, nor rows that
    others have locked are read again.
    """

    is_filtered = False

    def __init__(self) -> None:
        self.done = False
        self._last: PrimaryKey | None = None

    def hold_back(self, held: HeldBack) -> Selection:
        """Read keys ahead, and lock those that are not *held* back."""
        return FilteredScan(self, held)

    def take(self, statements: LockingStatements, executor: Executor, n: int) -> Burst:
        """Lock the next rows that no one else has locked."""
        select = statements.rows_after if self._last else statements.next_rows
        return statements.take(executor, select, self._params(n))

    def next_keys(
        self, statements: LockingStatements, connection: Executor, n: int
    ) -> list[PrimaryKey]:
        """Return the next keys, including those of rows that others have locked."""
        select = statements.keys_after if self._last else statements.next_keys
        return [tuple(row) for row in connection.execute(select, self._params(n))]

    def without_held(
        self,
        connection: sa.Connection,  # noqa: ARG002 nothing is held back
        burst: Burst,
    ) -> Burst:
        """Return *burst*."""
        return burst

    def passed(self, burst: Burst, n: int) -> None:
        """Go on behind *burst*; if it is not full, it was the last one."""
        self.passed_keys(burst.keys, n)

    def passed_keys(self, keys: t.Sequence[PrimaryKey], n: int) -> None:
        """Go on behind *keys*."""
        self.done = len(keys) < n
        if keys:
            self._last = keys[-1]

    def wait(self) -> None:
        """Go on at once."""

    def _params(self, n: int) -> key_conditions.Params:
        after = key_conditions.after_params(self._last) if self._last else {}
        return {"burst_count": n, **after}


class SelectedKeys:
    """The rows that have the given keys, in the order of the keys.

    Rows that others have locked are passed over, and kept in :attr:`missed`. If
    *ordered*, nothing behind such a row is taken until it is free or gone.
    """

    def __init__(self, keys: t.Sequence[PrimaryKey], *, ordered: bool = False) -> None:
        self.done = not keys
        self.missed = KeyList()
        self._keys = keys
        self._ordered = ordered
        self._position = 0
        self._end = 0
        self._is_stuck = False
        self._current: t.Sequence[PrimaryKey] = ()
        self._held: HeldBack | None = None
        self._polls: t.Iterator[float] | None = None

    def hold_back(self, held: HeldBack) -> Selection:
        """Skip the keys that are *held* back; if ordered, end at one that must wait."""
        self._held = held
        return self

    @property
    def is_filtered(self) -> bool:
        """Whether some of the keys may be held back."""
        return self._held is not None

    def take(self, statements: LockingStatements, executor: Executor, n: int) -> Burst:
        """Lock those of the next *n* keys that still have a row and are free."""
        keys = self._next(statements, _connection(executor), n)
        if not keys:
            return NOTHING
        params = key_conditions.among_params(keys)
        burst = statements.take(executor, statements.free_rows, params)
        if self._ordered and len(burst.keys) < len(keys):
            burst = self._before_locked(statements, executor, burst)
        return _sorted(burst, keys)

    def next_keys(
        self, statements: LockingStatements, connection: sa.Connection, n: int
    ) -> t.Sequence[PrimaryKey]:
        """Return the next keys."""
        return self._next(statements, connection, n)

    def without_held(self, connection: sa.Connection, burst: Burst) -> Burst:
        """Ask again, now that the rows are locked."""
        if self._held is None:
            return burst
        held = self._held.among(connection, burst.keys)
        return burst.without(set(burst.keys) - set(self._free(burst.keys, held)))

    def passed(
        self,
        burst: Burst,
        n: int,  # noqa: ARG002 fewer keys may have been taken
    ) -> None:
        """Go on with the next keys."""
        if len(burst.keys) < len(self._current) and not self._ordered:
            taken = set(burst.keys)
            self.missed.extend(key for key in self._current if key not in taken)
        self._is_stuck = self._end == self._position
        if not self._is_stuck:
            self._polls = None
        self._position = self._end
        self.done = self._position >= len(self._keys)

    def wait(self) -> None:
        """Wait before the next look at a row that is locked."""
        if self._is_stuck and not self.done:
            self._polls = self._polls or poll_intervals()
            stopping.wait(next(self._polls))

    def _next(
        self, statements: LockingStatements, connection: sa.Connection, n: int
    ) -> t.Sequence[PrimaryKey]:
        self._end = min(self._position + min(n, statements.max_keys), len(self._keys))
        self._current = self._keys[self._position : self._end]
        if self._held is not None and self._current:
            held = self._held.among(connection, self._current)
            self._current = self._free(self._current, held)
        return self._current

    def _free(
        self, keys: t.Sequence[PrimaryKey], held: t.Mapping[PrimaryKey, bool]
    ) -> list[PrimaryKey]:
        """Return *keys* without those that are *held*.

        If ordered, this ends at one that holds back those behind it.
        """
        free = []
        for key in keys:
            if self._ordered and held.get(key):
                self._end = len(self._keys)
                break
            if key not in held:
                free.append(key)
        return free

    def _before_locked(
        self, statements: LockingStatements, executor: Executor, burst: Burst
    ) -> Burst:
        """Leave out the rows behind the first one that exists and is locked."""
        taken = set(burst.keys)
        absent = [key for key in self._current if key not in taken]
        locked = set(statements.present(executor, absent))
        if not locked:
            return burst
        first = next(n for n, key in enumerate(self._current) if key in locked)
        left, self._current = self._current[first:], self._current[:first]
        window = self._keys[self._position : self._end]
        self._end = self._position + list(window).index(left[0])
        return burst.without(set(left))


class FilteredScan:
    """All rows in the order of the primary key, without those that are held back.

    A window of keys is read ahead, without locks, and filtered; what is left of it is
    locked by key. So rows that are held back are not even locked.
    """

    is_filtered = True

    def __init__(self, scan: KeysetScan, held: HeldBack) -> None:
        self.done = False
        self._scan = scan
        self._held = held
        self._window = SelectedKeys(())

    def hold_back(self, held: HeldBack) -> Selection:
        """Hold back more."""
        return FilteredScan(self._scan, Held([self._held, held]))

    def take(self, statements: LockingStatements, executor: Executor, n: int) -> Burst:
        """Lock the next rows that are free."""
        self._fill_window(statements, _connection(executor))
        return self._window.take(statements, executor, n)

    def next_keys(
        self, statements: LockingStatements, connection: sa.Connection, n: int
    ) -> t.Sequence[PrimaryKey]:
        """Return the next keys that are not held back."""
        self._fill_window(statements, connection)
        return self._window.next_keys(statements, connection, n)

    def without_held(self, connection: sa.Connection, burst: Burst) -> Burst:
        """Ask again, now that the rows are locked."""
        return burst.without(self._held.among(connection, burst.keys))

    def passed(self, burst: Burst, n: int) -> None:
        """Go on in the window, or behind it."""
        self._window.passed(burst, n)
        self.done = self._window.done and self._scan.done

    def wait(self) -> None:
        """Go on at once."""

    def _fill_window(
        self, statements: LockingStatements, connection: sa.Connection
    ) -> None:
        while self._window.done and not self._scan.done:
            keys = self._scan.next_keys(statements, connection, KEYS_AHEAD)
            self._scan.passed_keys(keys, KEYS_AHEAD)
            held = self._held.among(connection, keys) if keys else {}
            self._window = SelectedKeys([key for key in keys if key not in held])


def poll_intervals() -> t.Iterator[float]:
    """Yield the growing waits between looks at rows that others have locked."""
    interval = FIRST_POLL
    while True:
        yield interval
        interval = min(MAX_POLL, interval * 2)


def _connection(executor: Executor) -> sa.Connection:
    return executor if isinstance(executor, sa.Connection) else executor.connection()


def _sorted(burst: Burst, keys: t.Sequence[PrimaryKey]) -> Burst:
    """Return *burst* in the order of *keys*.

    A key that the application set may differ from what the database made of it. Such a
    signal comes last.
    """
    if burst.keys == keys:
        return burst
    ranks = {key: rank for rank, key in enumerate(keys)}
    positions = sorted(
        range(len(burst.keys)),
        key=lambda position: ranks.get(burst.keys[position], len(keys)),
    )
    return burst.at(positions)
