"""Select the rows of a model with an ordering key: queue by queue, heads first.

What is said here about a queue holds for any number of flushers, in any number of
processes:

1. A signal is sent only by who has locked its row, and knows that all signals before it
   in its queue are gone, may be passed, or are in the same burst. There, it is sent
   after those are confirmed.
2. Who cannot lock the head of a queue leaves the queue alone. So who has it can lock
   what follows.

Queues are read ahead, without locks, and may be out of date when their rows are locked.
That does no harm: a signal that was sent meanwhile has no row to lock, and then nothing
behind it is taken.
"""

from __future__ import annotations

import itertools
import typing as t

from signalbus import stopping
from signalbus._free_queues import FreeQueues
from signalbus._lock_queues import lock_behind
from signalbus._lock_queues import lock_heads
from signalbus._lock_queues import wave_by_wave
from signalbus._select import KEYS_AHEAD
from signalbus._select import MAX_KEYS_AHEAD
from signalbus._select import MAX_WINDOWS
from signalbus._sql import connections
from signalbus._sql import executors

if t.TYPE_CHECKING:
    import sqlalchemy as sa

    from signalbus._burst_result import BurstResult
    from signalbus._lock import LockingStatements
    from signalbus._locked import Burst
    from signalbus._queues import Queue
    from signalbus._queues import QueueReader
    from signalbus._select import Rows
    from signalbus._sql.executors import Executor
    from signalbus.typing import HeldBack
    from signalbus.typing import PrimaryKey

#: How many bursts a window of keys is read for. A burst takes a part of the queues in
#: it, and leaves the others to other flushers …
BURSTS_AHEAD = 4

#: … unless they are so few that a burst would be sent in many small waves.
MIN_QUEUES = 32

#: How many times more heads are tried than are wanted, since others have locked some.
TRIES = 4


class KeyedSelection:
    """The rows of a model with an ordering key, without those that are held back.

    :param kept: the keys of the signals that this run has tried and kept. They, and
        what is behind them in their queues, are not tried again.
    :param burst_count: how many signals the model's bursts have.
    """

    def __init__(
        self,
        rows: Rows,
        reader: QueueReader,
        held: HeldBack | None,
        kept: set[PrimaryKey],
        burst_count: int,
    ) -> None:
        self.ended = False
        self._rows = rows
        self._reader = reader
        self._free = FreeQueues(reader, held, kept)
        self._held = held
        self._kept = kept
        self._burst_count = burst_count
        #: What is sent alone, since it is not known which one cannot be read, is exact.
        self._tries = 1 if rows.is_exact else TRIES
        size = BURSTS_AHEAD * burst_count
        self._size = min(max(KEYS_AHEAD, size), MAX_KEYS_AHEAD)
        #: The queues of the window that have not been passed. Each begins with what is
        #: now its head.
        self._queues: list[Queue] = []
        #: The keys of the window as the database has them, if that was looked up.
        self._given: set[PrimaryKey] = set()
        #: How many queues a burst has.
        self._width = 1
        #: Whether anything was sent since the rows were begun.
        self._has_sent = False
        #: The queues whose heads the burst at hand has tried to lock, and whether it
        #: has stopped there because it had enough.
        self._tried: list[Queue] = []
        self._is_full = False
        #: What was held back of the burst at hand.
        self._found: t.Mapping[PrimaryKey, bool] = {}

    def of(self, rows: Rows) -> KeyedSelection:
        """Return other *rows* under the same conditions."""
        return KeyedSelection(
            rows, self._reader, self._held, self._kept, self._burst_count
        )

    @property
    def done(self) -> bool:
        """Whether all rows have been passed, and no more can be sent."""
        return not self._queues and self._rows.done and not self._goes_again

    @property
    def _goes_again(self) -> bool:
        """Whether what was left is worth another look, since others have gone."""
        return self._has_sent and self._rows.may_go_again

    @property
    def is_filtered(self) -> bool:
        """Whether some of the rows may be held back."""
        return self._held is not None

    @property
    def must_read_ahead(self) -> bool:
        """Whether to call :meth:`read_ahead` before rows are taken.

        An autoflush, which has few of them, spares itself that transaction.
        """
        return not self._queues and not self._rows.older

    def read_ahead(
        self, statements: LockingStatements, connection: sa.Connection
    ) -> None:
        """Read windows of queues, in a transaction of its own, up to one to be sent.

        There may be none. If that transaction fails at its end, what it has read is
        good: call this again, and it is kept.
        """
        with connections.transaction(connection):
            for _ in range(MAX_WINDOWS):
                if self._queues or self.done:
                    break
                self._read_window(statements, connection)
                if self._rows.done or stopping.is_stopping():
                    break

    def _read_window(
        self, statements: LockingStatements, connection: sa.Connection
    ) -> None:
        """Read the next window of queues, and leave out what is held back."""
        rows = self._rows
        if rows.done:
            rows.go_again()
            self._has_sent = False
        keys = rows.keys_ahead(statements, connection, self._size)
        queues = self._free.read(connection, keys, rows.older)
        window = set(map(tuple, keys))
        if rows.is_exact and not all(map(rows.has, itertools.chain(*queues))):
            # Some may be what the database has made of a key that is given.
            self._given = set(statements.present(connection, keys))
        rows.passed_keys(keys, self._size)  # all is read: nothing is missed if it fails
        self._queues = [fit for queue in queues if (fit := self._fit(queue, window))]
        self._width = max(MIN_QUEUES, len(self._queues) // BURSTS_AHEAD)
        if not rows.older:
            self._leave_displaced(window)

    def _fit(self, queue: Queue, window: t.Collection[PrimaryKey]) -> Queue:
        """Return what of *queue* is to be sent to get at the rows of the *window*."""
        if self._rows.is_exact:
            return list(itertools.takewhile(self._is_given, queue))
        if self._rows.older:
            last = max((n for n, key in enumerate(queue) if key in window), default=-1)
            return queue[: last + 1 if last >= 0 else len(window) + self._rows.older]
        return queue

    def _is_given(self, key: PrimaryKey) -> bool:
        """Return whether *key* is one of those that alone may be sent."""
        return self._rows.has(key) or key in self._given

    def _leave_displaced(self, window: set[PrimaryKey]) -> None:
        """Leave for later what older signals have taken the place of."""
        listed = {key for queue in self._queues for key in queue}
        if not listed <= window:
            self._rows.leave(window - listed)

    def take(self, statements: LockingStatements, executor: Executor, n: int) -> Burst:
        """Lock the heads of the next queues, and then what follows them."""
        self._found, self._tried = {}, []
        if not self.done and not self._queues:
            self._read_window(statements, executors.connection_of(executor))
        width = min(n, self._width)
        tries = 1 if statements.deletes else self._tries * width
        tried = self._tried = self._queues[:tries]
        heads = lock_heads(statements, executor, tried, width)
        self._is_full = len(heads.keys) >= width
        return lock_behind(statements, executor, heads, tried, n)

    def next_keys(
        self,
        statements: LockingStatements,  # noqa: ARG002 they were read ahead
        executor: Executor,  # noqa: ARG002
        n: int,
    ) -> t.Sequence[PrimaryKey]:
        """Return the keys that :meth:`take` has tried, all heads among them."""
        self._found = {}
        self._is_full = True
        return wave_by_wave(self._tried, max(n, len(self._tried)))

    def without_held(self, connection: sa.Connection, burst: Burst) -> Burst:
        """Return *burst* without what is held back, and what that holds back."""
        if self._held is None:
            return burst
        self._found = self._held.among(connection, burst.keys)
        if not self._found:
            return burst
        queues = burst.queues or range(len(burst.keys))
        blocked: set[int] = set()
        free = []
        for position, (key, queue) in enumerate(zip(burst.keys, queues, strict=True)):
            if self._found.get(key):
                blocked.add(queue)
            elif key not in self._found and queue not in blocked:
                free.append(position)
        return burst.at(free)

    def passed(self, result: BurstResult, n: int) -> None:  # noqa: ARG002 it is known
        """Go on behind what was sent or skipped; drop the queues that got stuck."""
        gone = set(result.confirmed).difference(result.undeleted)
        # What is doubtful is sent alone, before this goes on.
        self._has_sent = self._has_sent or bool(gone or result.doubtful())
        locked = set(result.locked.keys).difference(result.untimely())
        failed = {*result.failed(), *result.undeleted}
        going_on = []
        for queue in self._tried:
            was_locked = queue[0] in locked
            _pass(queue, gone, self._found)
            if not queue:
                continue
            if queue[0] in failed:
                self._kept.add(queue[0])
            elif queue[0] in self._found:
                pass  # it waits, and those behind it do
            elif queue[0] not in locked and (was_locked or self._is_full):
                going_on.append(queue)
            else:
                self._rows.leave(queue)
        self._queues[: len(self._tried)] = going_on

    def wait(self) -> None:
        """Go on at once."""


def _pass(
    queue: Queue, gone: set[PrimaryKey], held: t.Mapping[PrimaryKey, bool]
) -> None:
    """Remove from the front of *queue* what is gone, or may be passed."""
    n = 0
    while n < len(queue) and (queue[n] in gone or held.get(queue[n]) is False):
        n += 1
    del queue[:n]
