"""The outcome of the calls that a publisher was given."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from signalbus.brokers import WaitLimit
    from signalbus.messages import MessageBatch


class Outcome:
    """The outcome of each call, by the position of its signal.

    A publisher writes it in a thread of its own. That thread may have been abandoned
    when the outcome is copied into the batch; later results are lost, and their
    messages count as not sent.
    """

    def __init__(self, limit: WaitLimit) -> None:
        self._limit = limit
        self._settled: dict[int, Exception | None] = {}

    def confirm(self, position: int) -> None:
        """Record that the broker has stored the message."""
        self._settled[position] = None
        self._limit.note_progress()

    def fail(self, position: int, error: Exception) -> None:
        """Record why the message was not sent."""
        self._settled[position] = error
        self._limit.note_progress()

    def is_settled(self, position: int) -> bool:
        """Return whether the outcome of the message is known."""
        return position in self._settled

    def write_to(self, batch: MessageBatch) -> None:
        """Record the outcome in *batch*."""
        for position, error in list(self._settled.items()):
            if error is None:
                batch.confirm(position)
            else:
                batch.fail(position, error)
