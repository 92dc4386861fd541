"""Select rows by keys that are known: of a transaction, or read before."""

from __future__ import annotations

import typing as t

from signalbus import stopping
from signalbus._lock import NOTHING
from signalbus._lock import Burst
from signalbus._sql import key_conditions
from signalbus._sql.connections import connection_of
from signalbus._sql.key_list import KeyList

if t.TYPE_CHECKING:
    import sqlalchemy as sa

    from signalbus._lock import LockingStatements
    from signalbus._sql.connections import Executor
    from signalbus.typing import HeldBack
    from signalbus.typing import PrimaryKey

#: How long to wait between looks at rows that others have locked, in seconds.
FIRST_POLL = 0.01
MAX_POLL = 0.25


class SelectedKeys:
    """The rows that have the given keys, in the order of the keys.

    Rows that others have locked are passed over, and kept in :attr:`missed`. If
    *ordered*, nothing behind such a row is taken until it is free or gone.
    """

    def __init__(self, keys: t.Sequence[PrimaryKey], *, ordered: bool = False) -> None:
        self.done = not keys
        self.missed = KeyList()
        #: Whether a signal that is held back holds back all behind it.
        self.ended = False
        self._keys = keys
        self._ordered = ordered
        self._position = 0
        self._end = 0
        self._is_stuck = False
        self._current: t.Sequence[PrimaryKey] = ()
        self._held: HeldBack | None = None
        self._polls: t.Iterator[float] | None = None

    def hold_back(self, held: HeldBack) -> SelectedKeys:
        """Skip the keys that are *held* back; if ordered, end at one that must wait."""
        self._held = held
        return self

    @property
    def is_filtered(self) -> bool:
        """Whether some of the keys may be held back."""
        return self._held is not None

    def take(self, statements: LockingStatements, executor: Executor, n: int) -> Burst:
        """Lock those of the next *n* keys that still have a row and are free."""
        keys = self._next(statements, connection_of(executor), n)
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
                self.ended = True
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


def poll_intervals() -> t.Iterator[float]:
    """Yield the growing waits between looks at rows that others have locked."""
    interval = FIRST_POLL
    while True:
        yield interval
        interval = min(MAX_POLL, interval * 2)


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
