"""The messages that are on their way: published, and not settled by the broker yet."""

from __future__ import annotations

import collections
import typing as t

from signalbus_rabbitmq import _failures
from signalbus_rabbitmq._confirms import Confirms
from signalbus_rabbitmq._returns import Returns

if t.TYPE_CHECKING:
    from signalbus_rabbitmq.message import Message


class Batch(t.Protocol):
    """What is published: messages, known by their positions. It keeps their fate."""

    def message(self, position: int) -> Message:
        """Return a message that is about to be published."""

    def published(self, position: int) -> Message:
        """Return a message that has been published and is not settled."""

    def confirm(self, positions: t.Sequence[int]) -> None:
        """Settle messages that the broker confirmed."""

    def fail(self, position: int, error: Exception) -> None:
        """Settle a message that could not be sent."""

    def resend_singly(self, positions: t.Iterable[int]) -> None:
        """Send messages again, one by one, to find out which of them came back."""


class ReturnedMessage(t.NamedTuple):
    """A message that came back, and what the broker says about it."""

    message: Message
    reason: str


class InFlight:
    """Messages of a batch that were published in a row on one channel.

    Here a message is known by its index: that of its confirm. The batch knows it by its
    position.

    :param batch: told what becomes of each message.
    :param first_tag: the delivery tag of the first message.
    """

    def __init__(self, batch: Batch, first_tag: int) -> None:
        self.batch = batch
        self.confirms = Confirms(first_tag)
        #: What the broker returned and :meth:`settle` has not looked at.
        self.returned: list[ReturnedMessage] = []
        #: How many bytes wait for a confirm, about.
        self.size = 0
        self._positions: list[int] = []
        self._settled = 0  # all below this index are settled in the batch, too
        self._came_back: set[int] = set()  # indexes, for certain or perhaps
        self._returns: Returns | None = None
        self._chunks: collections.deque[tuple[int, int]] = collections.deque()

    def add(self, positions: t.Collection[int], size: int) -> None:
        """Add the messages at *positions*, published just now, *size* bytes in all."""
        self._positions.extend(positions)
        self.confirms.publish(len(positions))
        self._chunks.append((len(self._positions), size))
        self.size += size

    def settle(self) -> None:
        """Settle in the batch what the broker settled, up to the first gap."""
        if self.returned:
            self._settle_returned()
        end = self.confirms.first_pending()
        if end > self._settled:
            self._settle_indexes(range(self._settled, end))
            self._settled = end
            while self._chunks and self._chunks[0][0] <= end:
                self.size -= self._chunks.popleft()[1]

    def settle_all(self) -> None:
        """Settle in the batch what the broker settled, also beyond the first gap."""
        self.settle()
        pending = set(self.confirms.pending_indexes())
        rest = range(self._settled, len(self.confirms))
        self._settle_indexes([index for index in rest if index not in pending])

    def _settle_indexes(self, indexes: t.Sequence[int]) -> None:
        if self._came_back or self.confirms.has_nacks:
            indexes = [index for index in indexes if self._is_confirmed(index)]
        positions = self._positions
        self.batch.confirm([positions[index] for index in indexes])
        if self._returns is not None:
            self._returns.forget(indexes)

    def _is_confirmed(self, index: int) -> bool:
        """Return whether a settled message is where it should be; record a nack."""
        if index in self._came_back:
            return False
        if not self.confirms.is_nacked(index):
            return True
        position = self._positions[index]
        self.batch.fail(position, _failures.nacked(self.batch.published(position)))
        return False

    def _settle_returned(self) -> None:
        """Fail the messages that came back; resend those that may have come back."""
        returns = self._candidates()
        for message, reason in self.returned:
            matches = returns.match(message)
            self._came_back.update(matches)
            if len(matches) == 1:
                returns.forget(matches)
                failure = _failures.returned(message, reason)
                self.batch.fail(self._positions[matches[0]], failure)
            else:
                self.batch.resend_singly(self._positions[index] for index in matches)
        self.returned.clear()

    def _candidates(self) -> Returns:
        """Return the messages that may come back: those that are not settled."""
        if self._returns is None:
            self._returns = Returns(self._settled)
        for index in range(self._returns.end, len(self.confirms)):
            self._returns.add(self.batch.published(self._positions[index]))
        return self._returns
