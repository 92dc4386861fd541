"""A connection with a channel that confirms what it is given."""

from __future__ import annotations

import time
import typing as t

import pika.exceptions

from signalbus_rabbitmq._confirms import Confirms
from signalbus_rabbitmq._connection import Connection
from signalbus_rabbitmq._frames import FrameEncoder
from signalbus_rabbitmq.message import Message

if t.TYPE_CHECKING:
    from signalbus_rabbitmq._patience import Patience


class ChannelClosedError(Exception):
    """The broker closed the channel because of something that was published."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(f"({code}) {text}")


class ReturnedMessage(t.NamedTuple):
    """A message that came back, and what the broker says about it."""

    message: Message
    reason: str


class Link:
    """What one thread at a time publishes through."""

    def __init__(self, connection: Connection, deadline: float) -> None:
        self.connection = connection
        #: Whether the broker has ever answered for a message published here.
        self.is_proven = False
        self.closed: ChannelClosedError | None = None
        self.confirms = Confirms(1)
        self.returned: list[ReturnedMessage] = []
        self._published = 0
        self.open_channel(deadline)

    @classmethod
    def open(cls, parameters: pika.ConnectionParameters, deadline: float) -> Link:
        """Return a new link, or raise ConnectionError or TimeoutError."""
        connection = Connection.connect(parameters, deadline)
        try:
            return cls(connection, deadline)
        except BaseException:
            connection.abort()
            raise

    def open_channel(self, deadline: float) -> None:
        """Open a new channel, in confirm mode, in place of one that was closed."""
        ready: list[t.Any] = []
        self.connection.check()
        self.closed = None
        self._published = 0
        self._channel = self.connection.channel(
            on_open_callback=lambda channel: channel.confirm_delivery(
                self._on_confirm, callback=ready.append
            )
        )
        self._channel.add_on_return_callback(self._on_return)
        self._channel.add_on_close_callback(self._on_close)
        self._wait(lambda: bool(ready), deadline)

    def start_batch(self) -> FrameEncoder:
        """Open the books for a batch, and return what encodes its messages."""
        self.confirms = Confirms(self._published + 1)
        self.returned.clear()
        return FrameEncoder(self._channel.channel_number, self.connection.frame_max)

    def publish(self, frames: list[bytes]) -> None:
        """Write *frames*, those of one message in each item."""
        if frames:
            self._published += len(frames)
            self.confirms.publish(len(frames))
            self.connection.write(b"".join(frames))

    def advance(self, patience: Patience) -> None:
        """Wait for something to happen; raise what keeps the batch from going on."""
        self._check_channel()
        started = time.monotonic()
        self.connection.advance(patience.deadline())
        patience.waited(time.monotonic() - started, self)
        self._check_channel()

    def mark(self) -> t.Hashable:
        """Return something that changes when the broker takes or confirms anything."""
        return self.confirms.pending, self.connection.unsent

    def is_usable(self) -> bool:
        """Return whether nothing was lost or closed since the last use."""
        return self.connection.peek() and self.closed is None

    def close(self, limit: float) -> None:
        """Close the connection, in good order unless that takes past *limit*."""
        self.connection.shut(limit)

    def abort(self) -> None:
        """Close the connection at once."""
        self.connection.abort()

    def _wait(self, condition: t.Callable[[], bool], deadline: float) -> None:
        while not condition():
            self._check_channel()
            self.connection.advance(deadline)

    def _check_channel(self) -> None:
        if self.closed:
            raise self.closed

    def _on_confirm(self, frame: t.Any) -> None:
        method = frame.method
        settle = self.confirms.ack if method.NAME == "Basic.Ack" else self.confirms.nack
        settle(method.delivery_tag, method.multiple)
        self.is_proven = True

    def _on_return(
        self, _: t.Any, method: t.Any, properties: t.Any, body: bytes
    ) -> None:
        message = Message(
            method.exchange, method.routing_key, body, properties, mandatory=True
        )
        reason = f"({method.reply_code}) {method.reply_text}"
        self.returned.append(ReturnedMessage(message, reason))

    def _on_close(self, _: t.Any, reason: t.Any) -> None:
        if isinstance(reason, pika.exceptions.ChannelClosedByBroker):
            self.closed = ChannelClosedError(reason.reply_code, reason.reply_text)
