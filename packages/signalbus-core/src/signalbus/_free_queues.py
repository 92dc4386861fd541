"""Read queues, and leave out what must not be sent, and what that holds back."""

from __future__ import annotations

import itertools
import typing as t

if t.TYPE_CHECKING:
    import sqlalchemy as sa

    from signalbus._queues import Queue
    from signalbus._queues import QueueReader
    from signalbus.typing import HeldBack
    from signalbus.typing import PrimaryKey

Held: t.TypeAlias = "t.Mapping[PrimaryKey, bool]"


class FreeQueues:
    """Reads what may be sent of queues: up to what was kept or is held back.

    :param kept: the keys of the signals that this run has tried and kept.
    """

    def __init__(
        self, reader: QueueReader, held: HeldBack | None, kept: t.Container[PrimaryKey]
    ) -> None:
        self._reader = reader
        self._held = held
        self._kept = kept

    def read(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey], older: int
    ) -> list[Queue]:
        """Return queues as a reader does.

        What may be passed takes no place in them: as much is read behind it. Otherwise,
        signals behind many that are parked would never be found.
        """
        queues = more = self._reader.read(connection, keys, older)
        held = self._held_among(connection, more)
        passable, room = _most_passable(more, held), 0
        while passable > room:
            listed = {key for queue in more for key in queue}
            keys = [key for key in keys if tuple(key) not in listed]
            if not keys:
                break
            room = 2 * passable
            more = self._reader.read(connection, keys, older + room)
            held = {**held, **self._held_among(connection, more)}
            queues = [*_others(queues, more), *more]
            passable = _most_passable(more, held)
        return [self._free(queue, held) for queue in queues]

    def _held_among(self, connection: sa.Connection, queues: list[Queue]) -> Held:
        if self._held is None or not queues:
            return {}
        return self._held.among(connection, [key for queue in queues for key in queue])

    def _free(self, queue: Queue, held: Held) -> Queue:
        if not held and not self._kept:
            return queue

        def is_free(key: PrimaryKey) -> bool:
            return not held.get(key) and key not in self._kept

        free = itertools.takewhile(is_free, queue)
        return [key for key in free if key not in held]


def _most_passable(queues: list[Queue], held: Held) -> int:
    """Return how many signals may be passed in that of *queues* that has the most."""
    if not held:
        return 0
    counts = (sum(held.get(key) is False for key in queue) for queue in queues)
    return max(counts, default=0)


def _others(queues: list[Queue], more: list[Queue]) -> list[Queue]:
    """Return those of *queues* that are not, at greater length, among *more*."""
    keys = {key for queue in more for key in queue}
    return [queue for queue in queues if keys.isdisjoint(queue)]
