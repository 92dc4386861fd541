"""Select all rows of a model, in the order of the primary key."""

from __future__ import annotations

import typing as t

from signalbus._selected_keys import SelectedKeys
from signalbus._sql import key_conditions

if t.TYPE_CHECKING:
    from signalbus._lock import LockingStatements
    from signalbus._locked import Burst
    from signalbus._sql.executors import Executor
    from signalbus.typing import PrimaryKey


class KeysetScan:
    """All rows, in the order of the primary key.

    It never goes back. So neither dead rows, nor rows that were kept, nor rows that
    others have locked are read again.
    """

    is_ordered = False
    is_stuck = False
    is_exact = False
    older = 0

    def __init__(self) -> None:
        self.done = False
        self.may_go_again = False
        self._last: PrimaryKey | None = None

    def take(self, statements: LockingStatements, executor: Executor, n: int) -> Burst:
        """Lock the next rows that no one else has locked."""
        select = statements.rows_after if self._last else statements.next_rows
        return statements.take(executor, select, self._params(n))

    def next_keys(
        self, statements: LockingStatements, executor: Executor, n: int
    ) -> list[PrimaryKey]:
        """Return the next keys, including those of rows that others have locked."""
        select = statements.keys_after if self._last else statements.next_keys
        return statements.read_keys(executor, select, self._params(n))

    def keys_ahead(
        self, statements: LockingStatements, executor: Executor, n: int
    ) -> list[PrimaryKey]:
        """Return the next keys."""
        return self.next_keys(statements, executor, n)

    def window(self, keys: t.Sequence[PrimaryKey]) -> SelectedKeys:
        """Return the rows that have *keys*."""
        return SelectedKeys(keys)

    def passed(self, burst: Burst, n: int) -> None:
        """Go on behind *burst*; if it is not full, it was the last one."""
        self.passed_keys(burst.keys, n)

    def passed_keys(self, keys: t.Sequence[PrimaryKey], n: int) -> None:
        """Go on behind *keys*; if they are fewer than *n*, they were the last."""
        self.done = len(keys) < n
        if keys:
            self._last = keys[-1]

    def has(self, _: PrimaryKey) -> bool:
        """Return ``True``: all rows are meant."""
        return True

    def leave(self, keys: t.Iterable[PrimaryKey]) -> None:
        """Note that some rows were left."""
        self.may_go_again = self.may_go_again or any(True for _ in keys)

    def go_again(self) -> None:
        """Go through all rows once more."""
        self.done = self.may_go_again = False
        self._last = None

    def wait(self) -> None:
        """Go on at once."""

    def _params(self, n: int) -> key_conditions.Params:
        after = key_conditions.after_params(self._last) if self._last else {}
        return {"burst_count": n, **after}
