"""Which rows, and in what order: the one thing in which the flush methods differ."""

from __future__ import annotations

import typing as t

from signalbus import _keys
from signalbus._lock import Burst

if t.TYPE_CHECKING:
    import sqlalchemy as sa
    import sqlalchemy.orm as sa_orm

    from signalbus._lock import Statements
    from signalbus.typing import PrimaryKey

Executor: t.TypeAlias = "sa.Connection | sa_orm.Session"


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

    def _params(self, count: int) -> _keys.Params:
        after = _keys.after_params(self._last) if self._last else {}
        return {"burst_count": count, **after}


class Chosen:
    """The rows with the given keys.

    Rows that somebody else has locked are passed over, and remembered as
    :attr:`missed`.

    :param arranged: whether each burst is in the order of *keys*.
    :param ordered: the same, and rows that somebody else has locked are waited for.
    """

    def __init__(
        self,
        keys: t.Sequence[PrimaryKey],
        *,
        arranged: bool = False,
        ordered: bool = False,
    ) -> None:
        self.done = not keys
        self.missed: list[PrimaryKey] = []
        self._keys = keys
        self._arranged = arranged or ordered
        self._ordered = ordered
        self._position = 0
        self._current: t.Sequence[PrimaryKey] = ()

    def take(self, statements: Statements, executor: Executor, count: int) -> Burst:
        """Lock those of the next *count* keys that still have a row."""
        keys = self._next(statements, count)
        select = statements.chosen_rows if self._ordered else statements.free_rows
        burst = statements.take(executor, select, _keys.among_params(keys))
        return _in_order(burst, keys) if self._arranged else burst

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
        if len(burst.keys) < len(self._current):
            found = set(burst.keys)
            self.missed += [key for key in self._current if key not in found]
        self._position += len(self._current)
        self.done = self._position >= len(self._keys)

    def _next(self, statements: Statements, count: int) -> t.Sequence[PrimaryKey]:
        end = self._position + min(count, statements.most_keys)
        self._current = self._keys[self._position : end]
        return self._current


def _in_order(burst: Burst, keys: t.Sequence[PrimaryKey]) -> Burst:
    """Return *burst* in the order of *keys*."""
    if len(burst.keys) < 2:  # noqa: PLR2004 one is in any order
        return burst
    signals = dict(zip(burst.keys, burst.signals, strict=True))
    present = [key for key in keys if key in signals]
    return Burst([signals[key] for key in present], present)
