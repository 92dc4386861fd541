"""Select all rows but those that are held back."""

from __future__ import annotations

import typing as t

from signalbus._selected_keys import SelectedKeys
from signalbus._sql.connections import connection_of

if t.TYPE_CHECKING:
    import sqlalchemy as sa

    from signalbus._lock import Burst
    from signalbus._lock import LockingStatements
    from signalbus._sql.connections import Executor
    from signalbus.typing import HeldBack
    from signalbus.typing import PrimaryKey

#: How many keys are read ahead, without locks.
KEYS_AHEAD = 1000


class KeySource(t.Protocol):
    """Where the keys come from: a scan that has not been filtered."""

    #: Whether all keys have been read.
    done: bool

    def next_keys(
        self, statements: LockingStatements, connection: Executor, n: int
    ) -> list[PrimaryKey]:
        """Return the next keys."""

    def passed_keys(self, keys: t.Sequence[PrimaryKey], n: int) -> None:
        """Go on behind *keys*."""


class FilteredScan:
    """All rows in the order of the primary key, without those that are held back.

    A window of keys is read ahead, without locks, and filtered; what is left of it is
    locked by key. So rows that are held back are not even locked.
    """

    is_filtered = True

    def __init__(self, scan: KeySource, held: HeldBack) -> None:
        self.done = False
        self._scan = scan
        self._held = held
        self._window = SelectedKeys(())

    def take(self, statements: LockingStatements, executor: Executor, n: int) -> Burst:
        """Lock the next rows that are free."""
        self._fill_window(statements, connection_of(executor))
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
            held = self._held.among(connection, keys) if keys else {}
            self._scan.passed_keys(keys, KEYS_AHEAD)
            self._window = SelectedKeys([key for key in keys if key not in held])
