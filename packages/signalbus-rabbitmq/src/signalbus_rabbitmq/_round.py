"""Publish messages in a row over one link, and book what the broker says about each."""

from __future__ import annotations

import collections
import time
import typing as t

from signalbus_rabbitmq import exceptions
from signalbus_rabbitmq._remedies import bind
from signalbus_rabbitmq._remedies import create_queue
from signalbus_rabbitmq._returns import Returns

if t.TYPE_CHECKING:
    from signalbus_rabbitmq._ledger import Ledger
    from signalbus_rabbitmq._link import Link
    from signalbus_rabbitmq._link import ReturnedMessage
    from signalbus_rabbitmq._patience import Patience
    from signalbus_rabbitmq.message import Message

#: How much is encoded before it is given to the socket, how much may wait for the
#: socket, and how much for a confirm, before encoding stops, in bytes.
CHUNK = 32 * 1024
MAX_UNWRITTEN = 256 * 1024
MAX_IN_FLIGHT = 16 * 1024 * 1024

#: How long the making of messages may take before the connection is looked after, in
#: seconds.
MAX_ABSENCE = 0.5


class LostWhileIdleError(exceptions.ConnectionError):
    """The connection was lost with nothing on its way: nothing can arrive twice."""


class Round:
    """One way of some messages over one link.

    :param ledger: the messages, and where to book what becomes of them.
    """

    def __init__(self, ledger: Ledger, link: Link, patience: Patience) -> None:
        self._ledger = ledger
        self._link = link
        self._patience = patience
        self._published: list[int] = []  # positions; the index is that of the confirms
        self._booked = 0  # all below this index is done with
        self._came_back: set[int] = set()  # indexes, for certain or perhaps
        self._returns: Returns | None = None
        self._in_flight: collections.deque[tuple[int, int]] = collections.deque()
        self._bytes_in_flight = 0

    def publish(self, positions: t.Iterable[int]) -> None:
        """Publish the messages at *positions*, and await their confirms."""
        encode = self._link.start_batch().encode
        try:
            while self._link.connection.blocked_because:
                self._advance()
            self._write(positions, encode)
            while self._link.confirms.pending:
                self._advance()
        finally:
            self._book_all()

    def _write(
        self, positions: t.Iterable[int], encode: t.Callable[[Message], bytes]
    ) -> None:
        """Encode and write, while confirms for what was written before come in."""
        message, published, clock = (
            self._ledger.message,
            self._published,
            time.monotonic,
        )
        frames: list[bytes] = []
        size = 0
        looked = clock()
        for position in positions:
            try:
                encoded = encode(message(position))
            except Exception as error:  # noqa: BLE001 one never stops the others
                self._ledger.fail(position, error)
            else:
                published.append(position)
                frames.append(encoded)
                size += len(encoded)
            if clock() - looked > MAX_ABSENCE:
                self._look_after()
                self._hand_over(frames, size)
            elif size >= CHUNK:
                self._hand_over(frames, size)
            else:
                continue
            size = 0
            looked = clock()
        self._give(frames, size)

    def _look_after(self) -> None:
        """Take in what has arrived while nobody looked."""
        if self._link.connection.peek():
            return
        self._book()
        if not self._link.confirms.pending:
            raise LostWhileIdleError

    def _hand_over(self, frames: list[bytes], size: int) -> None:
        """Give *frames* to the socket; stay while it, or the broker, takes no more."""
        if frames:
            self._give(frames, size)
            frames.clear()
            self._advance()
        while self._is_congested():
            self._advance()

    def _give(self, frames: list[bytes], size: int) -> None:
        self._link.publish(frames)
        self._in_flight.append((len(self._link.confirms), size))
        self._bytes_in_flight += size

    def _is_congested(self) -> bool:
        connection = self._link.connection
        return bool(
            connection.blocked_because
            or connection.unwritten > MAX_UNWRITTEN
            or self._bytes_in_flight > MAX_IN_FLIGHT
        )

    def _advance(self) -> None:
        self._link.advance(self._patience)
        self._book()

    def _book(self) -> None:
        """Book what is settled, up to the first message that is not."""
        if self._link.returned:
            self._book_returns()
        end = self._link.confirms.first_pending()
        if end > self._booked:
            self._settle(range(self._booked, end))
            self._booked = end
            while self._in_flight and self._in_flight[0][0] <= end:
                self._bytes_in_flight -= self._in_flight.popleft()[1]

    def _book_all(self) -> None:
        """Book what is settled, also beyond the first message that is not."""
        self._book()
        confirms = self._link.confirms
        pending = set(confirms.pending_indexes())
        rest = range(self._booked, len(confirms))
        self._settle([index for index in rest if index not in pending])

    def _settle(self, indexes: t.Sequence[int]) -> None:
        """Book what the broker has confirmed or refused."""
        published, confirms = self._published, self._link.confirms
        if self._came_back or confirms.has_nacks:
            indexes = [index for index in indexes if not self._is_lost(index)]
        self._ledger.confirm([published[index] for index in indexes])
        if self._returns is not None:
            self._returns.forget(indexes)

    def _is_lost(self, index: int) -> bool:
        """Tell whether a settled message is not where it should be; book a refusal."""
        if index in self._came_back:
            return True
        if not self._link.confirms.is_nacked(index):
            return False
        position = self._published[index]
        message = self._ledger.message(position)
        self._ledger.fail(
            position,
            exceptions.NackedError(
                f"RabbitMQ could not take the message to exchange {message.exchange!r}"
                f" with routing key {message.routing_key!r}. Look into the broker's"
                " log."
            ),
        )
        return True

    def _book_returns(self) -> None:
        """Fail the messages that came back, or doubt those that perhaps did."""
        returns = self._candidates()
        for returned in self._link.returned:
            matched = returns.match(returned.message)
            self._came_back.update(matched)
            if len(matched) == 1:
                returns.forget(matched)
                self._fail(self._published[matched[0]], returned)
            else:
                self._ledger.doubt(self._published[index] for index in matched)
        self._link.returned.clear()

    def _candidates(self) -> Returns:
        """Return the messages that may come back: what is published, not yet booked."""
        if self._returns is None:
            self._returns = Returns(self._booked)
        for index in range(self._returns.end, len(self._link.confirms)):
            self._returns.add(self._ledger.message(self._published[index]))
        return self._returns

    def _fail(self, position: int, returned: ReturnedMessage) -> None:
        message, reason = returned
        if message.exchange:
            remedy = bind(message.exchange, message.routing_key)
        else:
            remedy = create_queue(message.routing_key)
        self._ledger.fail(
            position,
            exceptions.ReturnedError(
                f"No queue takes the message to exchange {message.exchange!r} with"
                f" routing key {message.routing_key!r}: {reason}. {remedy}"
            ),
        )
