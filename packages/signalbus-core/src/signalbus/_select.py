"""Step 3, select: which rows a flush takes next, in what order, and which it leaves.

This is the only thing in which the ways of flushing differ.
"""

from __future__ import annotations

import typing as t

from signalbus._filtered_scan import FilteredScan
from signalbus._sql import key_conditions

if t.TYPE_CHECKING:
    import sqlalchemy as sa

    from signalbus._lock import Burst
    from signalbus._lock import LockingStatements
    from signalbus._sql.connections import Executor
    from signalbus.typing import HeldBack
    from signalbus.typing import PrimaryKey


class Selection(t.Protocol):
    """The rows of a model that a flush goes through, one burst at a time."""

    #: Whether all rows have been passed.
    done: bool

    @property
    def is_filtered(self) -> bool:
        """Whether some of the rows may be held back."""

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

    def hold_back(self, held: HeldBack) -> FilteredScan:
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
