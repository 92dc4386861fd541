"""Lock signals of several queues: heads first, then those behind them."""

from __future__ import annotations

import itertools
import typing as t

from signalbus._locked import NOTHING
from signalbus._locked import Burst
from signalbus._sql import key_conditions

if t.TYPE_CHECKING:
    from signalbus._lock import LockingStatements
    from signalbus._queues import Queue
    from signalbus._sql.executors import Executor
    from signalbus.typing import PrimaryKey


def lock_heads(
    statements: LockingStatements,
    executor: Executor,
    queues: t.Sequence[Queue],
    at_most: int,
) -> Burst:
    """Lock the first of *queues* whose heads no one else has locked."""
    heads = [queue[0] for queue in queues]
    burst = NOTHING
    for some in key_conditions.slices(heads, statements.max_keys):
        params = key_conditions.among_params(some)
        params["burst_count"] = at_most - len(burst.keys)
        found = statements.take(executor, statements.first_free_rows, params)
        burst = _joined(burst, found)
        if len(burst.keys) >= at_most:
            break
    return burst


def lock_behind(
    statements: LockingStatements,
    executor: Executor,
    heads: Burst,
    queues: t.Sequence[Queue],
    n: int,
) -> Burst:
    """Return *heads*, which are locked, and what can be locked behind them.

    That is *n* signals in all, at most, and of each queue those up to the first one
    that is gone, or that others have locked.
    """
    locked = set(heads.keys)
    queues = [queue for queue in queues if queue[0] in locked]
    burst = heads
    behind = wave_by_wave(queues, n)[len(queues) :]
    for some in key_conditions.slices(behind, statements.max_keys):
        params = key_conditions.among_params(some)
        found = statements.take(executor, statements.free_rows, params)
        burst = _joined(burst, found)
    return _arranged(burst, queues)


def wave_by_wave(queues: t.Sequence[Queue], n: int) -> list[PrimaryKey]:
    """Return the first *n* keys: all heads, then the second one of each queue, ..."""
    keys: list[PrimaryKey] = []
    depth = 0
    while queues and len(keys) < n:
        keys += [queue[depth] for queue in queues]
        depth += 1
        queues = [queue for queue in queues if len(queue) > depth]
    return keys[:n]


def _joined(one: Burst, other: Burst) -> Burst:
    if not one.keys:
        return other
    return Burst([*one.signals, *other.signals], [*one.keys, *other.keys])


def _arranged(burst: Burst, queues: t.Sequence[Queue]) -> Burst:
    """Return the signals of *burst* wave by wave, each queue up to the first gap."""
    signals = dict(zip(burst.keys, burst.signals, strict=True))
    found = [list(itertools.takewhile(signals.__contains__, queue)) for queue in queues]
    numbers = {key: number for number, queue in enumerate(found) for key in queue}
    keys = wave_by_wave(found, len(signals))
    return Burst([signals[key] for key in keys], keys, [numbers[key] for key in keys])
