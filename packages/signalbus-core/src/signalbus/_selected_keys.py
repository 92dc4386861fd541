"""Select rows by keys that are known: of a transaction, or read before."""

from __future__ import annotations

import typing as t

from signalbus import stopping
from signalbus._sql import key_conditions
from signalbus._sql.key_list import KeyList

if t.TYPE_CHECKING:
    from signalbus._lock import LockingStatements
    from signalbus._locked import Burst
    from signalbus._sql.executors import Executor
    from signalbus.typing import PrimaryKey

#: How long to wait between looks at rows that others have locked, in seconds.
FIRST_POLL = 0.01
MAX_POLL = 0.25


class SelectedKeys:
    """The rows that have the given keys, in the order of the keys.

    Rows that others have locked are passed over, and kept in :attr:`missed`. If
    *ordered*, nothing behind such a row is taken until it is free or gone.

    Of a model with an ordering key, what is sent are the oldest signals of each queue
    that has any of the rows.

    :param is_exact: whether nothing but the rows may be sent: those that have an older
        signal in front of them are missed.
    :param older: how many signals more each queue may have, to get at the rows.
    """

    def __init__(
        self,
        keys: t.Sequence[PrimaryKey],
        *,
        ordered: bool = False,
        missed: KeyList | None = None,
        is_exact: bool = False,
        older: int = 0,
    ) -> None:
        self.done = not keys
        self.is_ordered = ordered
        #: Whether the next row is locked, and must not be passed over.
        self.is_stuck = False
        self.is_exact = is_exact
        self._all = set(map(tuple, keys)) if is_exact else set()
        self.older = older
        self.missed = KeyList() if missed is None else missed
        self._keys = keys
        self._position = 0
        self._end = 0
        self._current: t.Sequence[PrimaryKey] = ()
        self._polls: t.Iterator[float] | None = None

    def take(self, statements: LockingStatements, executor: Executor, n: int) -> Burst:
        """Lock those of the next *n* keys that still have a row and are free."""
        keys = self.next_keys(statements, executor, n)
        params = key_conditions.among_params(keys)
        burst = statements.take(executor, statements.free_rows, params)
        if self.is_ordered and len(burst.keys) < len(keys):
            burst = self._before_locked(statements, executor, burst)
        return _sorted(burst, keys)

    def next_keys(
        self,
        statements: LockingStatements,
        executor: Executor,  # noqa: ARG002 the keys are known
        n: int,
    ) -> t.Sequence[PrimaryKey]:
        """Return the next keys, as many as one statement may name."""
        self._end = min(self._position + min(n, statements.max_keys), len(self._keys))
        self._current = self._keys[self._position : self._end]
        return self._current

    def keys_ahead(
        self,
        statements: LockingStatements,  # noqa: ARG002 nothing is executed
        executor: Executor,  # noqa: ARG002
        n: int,
    ) -> t.Sequence[PrimaryKey]:
        """Return the next keys."""
        return self._keys[self._position : self._position + n]

    def window(self, keys: t.Sequence[PrimaryKey]) -> SelectedKeys:
        """Return the rows that have *keys*; those that it misses are missed here."""
        return SelectedKeys(keys, ordered=self.is_ordered, missed=self.missed)

    def passed(
        self,
        burst: Burst,
        n: int,  # noqa: ARG002 fewer keys may have been taken
    ) -> None:
        """Go on with the next keys."""
        if len(burst.keys) < len(self._current) and not self.is_ordered:
            taken = set(burst.keys)
            self.missed.extend(key for key in self._current if key not in taken)
        self.is_stuck = self._end == self._position
        if not self.is_stuck:
            self._polls = None
        self._position = self._end
        self.done = self._position >= len(self._keys)

    def passed_keys(
        self,
        keys: t.Sequence[PrimaryKey],
        n: int,  # noqa: ARG002 there may have been fewer
    ) -> None:
        """Go on behind *keys*."""
        self.is_stuck = False
        self._position += len(keys)
        self.done = self._position >= len(self._keys)

    def has(self, key: PrimaryKey) -> bool:
        """Return whether *key* is one of the keys; asked if they are exact."""
        return key in self._all

    def rest(self, keys: t.Sequence[PrimaryKey]) -> SelectedKeys:
        """Return the rows that have *keys*, to be sent under the same conditions."""
        return SelectedKeys(keys, is_exact=self.is_exact, older=self.older)

    def leave(self, keys: t.Iterable[PrimaryKey]) -> None:
        """Keep *keys* in :attr:`missed`."""
        self.missed.extend(keys)

    @property
    def may_go_again(self) -> bool:
        """Whether any were missed."""
        return len(self.missed) > 0

    def go_again(self) -> None:
        """Go through those that were missed."""
        self._keys, self.missed = self.missed, KeyList()
        self._position = 0
        self.done = False

    def wait(self) -> None:
        """Wait before the next look at a row that is locked."""
        if self.is_stuck and not self.done:
            self._polls = self._polls or poll_intervals()
            stopping.wait(next(self._polls))

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
        self._end = self._position + first
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
