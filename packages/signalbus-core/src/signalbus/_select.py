"""Which rows, and in what order: the one thing in which the flush methods differ."""

from __future__ import annotations

import typing as t

from signalbus import _keys
from signalbus import stopping
from signalbus._key_list import KeyList
from signalbus._lock import Burst

if t.TYPE_CHECKING:
    import sqlalchemy as sa
    import sqlalchemy.orm as sa_orm

    from signalbus._lock import Statements
    from signalbus.typing import PrimaryKey

Executor: t.TypeAlias = "sa.Connection | sa_orm.Session"

#: How long to wait between looks at rows that others have locked, in seconds.
FIRST_LOOK = 0.01
LONGEST_LOOK = 0.25


class Selection(t.Protocol):
    """The rows of a model that a flush goes through, a burst at a time."""

    #: Whether all rows have been passed.
    done: bool

    def take(self, statements: Statements, executor: Executor, count: int) -> Burst:
        """Lock the next rows, at most *count*. To call it again tries them again."""

    def peek(
        self, statements: Statements, connection: sa.Connection, count: int
    ) -> t.Sequence[PrimaryKey]:
        """Return the keys that :meth:`take` would lock, without reading more."""

    def passed(self, burst: Burst, count: int) -> None:
        """Never take the rows of *burst* again, whether they were sent or not."""

    def wait(self) -> None:
        """Wait a moment, if the next row is one that has to be waited for."""


class Walk:
    """All rows, in the order of the primary key.

    It never turns back to rows already passed, so neither dead rows nor rows that were
    kept or that others have locked are looked at again.
    """

    def __init__(self) -> None:
        self.done = False
        self._last: PrimaryKey | None = None

    def take(self, statements: Statements, executor: Executor, count: int) -> Burst:
        """Lock the next rows that nobody else has locked."""
        select = statements.rows_after if self._last else statements.next_rows
        return statements.take(executor, select, self._params(count))

    def peek(
        self, statements: Statements, connection: sa.Connection, count: int
    ) -> t.Sequence[PrimaryKey]:
        """Return the next keys, of rows that others have locked, too."""
        select = statements.keys_after if self._last else statements.next_keys
        return [tuple(row) for row in connection.execute(select, self._params(count))]

    def passed(self, burst: Burst, count: int) -> None:
        """Go on behind *burst*; a burst that is not full was the last."""
        self.done = len(burst.keys) < count
        if burst.keys:
            self._last = burst.keys[-1]

    def wait(self) -> None:
        """Go on at once."""

    def _params(self, count: int) -> _keys.Params:
        after = _keys.after_params(self._last) if self._last else {}
        return {"burst_count": count, **after}


class Chosen:
    """The rows with the given keys, in the order of the keys.

    Rows that somebody else has locked are passed over, and remembered as
    :attr:`missed`. If *ordered*, nothing behind such a row is taken until it is free or
    gone.
    """

    def __init__(self, keys: t.Sequence[PrimaryKey], *, ordered: bool = False) -> None:
        self.done = not keys
        self.missed = KeyList()
        self._keys = keys
        self._ordered = ordered
        self._position = 0
        self._current: t.Sequence[PrimaryKey] = ()
        self._looks: t.Iterator[float] | None = None

    def take(self, statements: Statements, executor: Executor, count: int) -> Burst:
        """Lock those of the next *count* keys that still have a row and are free."""
        keys = self._next(statements, count)
        burst = statements.take(
            executor, statements.free_rows, _keys.among_params(keys)
        )
        if self._ordered and len(burst.keys) < len(keys):
            burst = self._stop_short(statements, executor, burst)
        return _arranged(burst, keys)

    def peek(
        self,
        statements: Statements,
        connection: sa.Connection,  # noqa: ARG002 the keys are known
        count: int,
    ) -> t.Sequence[PrimaryKey]:
        """Return the next keys."""
        return self._next(statements, count)

    def passed(
        self,
        burst: Burst,
        count: int,  # noqa: ARG002 fewer keys may have been taken
    ) -> None:
        """Go on with the next keys."""
        if len(burst.keys) < len(self._current) and not self._ordered:
            found = set(burst.keys)
            self.missed.extend(key for key in self._current if key not in found)
        if self._current:
            self._looks = None
        self._position += len(self._current)
        self.done = self._position >= len(self._keys)

    def wait(self) -> None:
        """Wait before the next look at a row that somebody else has locked."""
        if self._ordered and not self._current:
            self._looks = self._looks or looks()
            stopping.wait(next(self._looks))

    def _next(self, statements: Statements, count: int) -> t.Sequence[PrimaryKey]:
        end = self._position + min(count, statements.most_keys)
        self._current = self._keys[self._position : end]
        return self._current

    def _stop_short(
        self, statements: Statements, executor: Executor, burst: Burst
    ) -> Burst:
        """Leave out what comes behind a row that exists and was not to be had."""
        taken = set(burst.keys)
        absent = [key for key in self._current if key not in taken]
        locked = set(statements.present(executor, absent))
        if not locked:
            return burst
        end = next(n for n, key in enumerate(self._current) if key in locked)
        self._current = self._current[:end]
        return _among(burst, set(self._current))


def looks() -> t.Iterator[float]:
    """Yield the growing pauses between looks at rows that others have locked."""
    pause = FIRST_LOOK
    while True:
        yield pause
        pause = min(LONGEST_LOOK, pause * 2)


def _arranged(burst: Burst, keys: t.Sequence[PrimaryKey]) -> Burst:
    """Return *burst* in the order of *keys*.

    A key that the application set may differ from what the database made of it. Such a
    signal comes last.
    """
    if burst.keys == keys:
        return burst
    ranks = {key: rank for rank, key in enumerate(keys)}
    return _picked(
        burst,
        sorted(
            range(len(burst.keys)),
            key=lambda position: ranks.get(burst.keys[position], len(keys)),
        ),
    )


def _among(burst: Burst, keys: t.Container[PrimaryKey]) -> Burst:
    """Return those signals of *burst* that have one of *keys*."""
    return _picked(burst, [n for n, key in enumerate(burst.keys) if key in keys])


def _picked(burst: Burst, positions: t.Sequence[int]) -> Burst:
    return Burst(
        [burst.signals[position] for position in positions],
        [burst.keys[position] for position in positions],
    )
