"""The signals of a burst, while their rows are locked."""

from __future__ import annotations

import dataclasses
import typing as t

if t.TYPE_CHECKING:
    from signalbus.typing import PrimaryKey
    from signalbus.typing import Signal


@dataclasses.dataclass(frozen=True)
class Burst:
    """Signals that are locked together, and their primary keys, in the same order.

    :ivar queues: for each signal, the number of the queue that it is in; empty if the
        signals do not depend on each other. A signal must not be sent before those of
        its queue that stand before it are confirmed.
    """

    signals: t.Sequence[Signal]
    keys: t.Sequence[PrimaryKey]
    queues: t.Sequence[int] = ()

    def at(self, positions: t.Sequence[int]) -> Burst:
        """Return the signals at *positions*, in that order."""
        return Burst(
            [self.signals[position] for position in positions],
            [self.keys[position] for position in positions],
            [self.queues[position] for position in positions] if self.queues else (),
        )

    def without(self, keys: t.Container[PrimaryKey]) -> Burst:
        """Return the burst without the signals that have one of *keys*."""
        return self.at([n for n, key in enumerate(self.keys) if key not in keys])


NOTHING = Burst((), ())
