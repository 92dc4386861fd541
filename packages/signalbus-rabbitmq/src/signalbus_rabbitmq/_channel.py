"""A channel in confirm mode: publish messages, and wait for their confirms."""

from __future__ import annotations

import time
import typing as t

import pika.exceptions
from signalbus import stopping

from signalbus_rabbitmq import exceptions
from signalbus_rabbitmq._connection import Connection
from signalbus_rabbitmq._frames import FrameEncoder
from signalbus_rabbitmq._in_flight import InFlight
from signalbus_rabbitmq._in_flight import ReturnedMessage
from signalbus_rabbitmq._timeouts import IdleTimeout
from signalbus_rabbitmq.message import Message

if t.TYPE_CHECKING:
    from signalbus_rabbitmq._in_flight import Batch
    from signalbus_rabbitmq._timeouts import Timeout

#: How many bytes are encoded before they are written, may wait for the socket, and may
#: wait for confirms, before encoding pauses.
CHUNK = 32 * 1024
MAX_UNWRITTEN = 256 * 1024
MAX_IN_FLIGHT = 16 * 1024 * 1024

#: How long making messages may take before the connection is served in between, in
#: seconds.
MAX_UNSERVED = 0.5

#: How long a broker may be idle while a thread that was told to stop waits for confirms
#: of what it has published, in seconds. A broker that works is faster.
STOP_TIMEOUT = 1.0


class LostWhileIdleError(exceptions.ConnectionError):
    """The connection was lost with nothing on its way: nothing can arrive twice."""


class ChannelClosedError(Exception):
    """The broker closed the channel because of something that was published."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        super().__init__(f"({code}) {text}")


class ConfirmChannel:
    """A channel in confirm mode, on a connection of its own.

    One thread uses it at a time.
    """

    def __init__(self, connection: Connection, deadline: float) -> None:
        self.connection = connection
        #: Whether the broker has ever answered for a message published here.
        self.is_proven = False
        self._flight: InFlight | None = None
        self.reopen(deadline)

    @classmethod
    def open(
        cls, parameters: pika.ConnectionParameters, deadline: float
    ) -> ConfirmChannel:
        """Return a new channel, or raise ConnectionError or TimeoutError."""
        connection = Connection.connect(parameters, deadline)
        try:
            return cls(connection, deadline)
        except BaseException:
            connection.abort()
            raise

    def reopen(self, deadline: float) -> None:
        """Open a channel on the same connection, in place of one that was closed."""
        ready: list[t.Any] = []
        self.connection.check()
        self._closed: ChannelClosedError | None = None
        self._published = 0
        self._channel = self.connection.channel(
            on_open_callback=lambda channel: channel.confirm_delivery(
                self._on_confirm, callback=ready.append
            )
        )
        self._channel.add_on_return_callback(self._on_return)
        self._channel.add_on_close_callback(self._on_close)
        self.connection.wait(lambda: bool(ready or self._closed), deadline)
        self._check()

    def publish(
        self, batch: Batch, positions: t.Iterable[int], timeout: Timeout
    ) -> None:
        """Publish the messages of *batch* at *positions*, and wait for their confirms.

        *batch* is told what becomes of each. Raise ChannelClosedError if the broker
        refuses one, ConnectionError if the connection is lost, and TimeoutError if the
        broker takes too long.

        A thread that is told to stop finishes this if the broker works: it gives up a
        broker that takes no messages or confirms none.
        """
        self._flight = flight = InFlight(batch, self._published + 1)
        self._timeout, self._stop_timeout = timeout, IdleTimeout(STOP_TIMEOUT)
        try:
            while self.connection.blocked_because:
                self._process_events(flight)
            self._write_all(flight, positions)
            while flight.confirms.pending:
                self._process_events(flight)
        finally:
            flight.settle_all()

    def is_usable(self) -> bool:
        """Return whether nothing was lost or closed since the last use."""
        return self.connection.poll() and self._closed is None

    def close(self, timeout: float) -> None:
        """Close the connection in good order, or abort it after *timeout* seconds."""
        self.connection.disconnect(timeout)

    def abort(self) -> None:
        """Close the connection at once."""
        self.connection.abort()

    def _write_all(self, flight: InFlight, positions: t.Iterable[int]) -> None:
        """Encode and write, while confirms for what was written before come in."""
        encode = FrameEncoder(
            self._channel.channel_number, self.connection.frame_max
        ).encode
        message, clock = flight.batch.message, time.monotonic
        encoded: dict[int, bytes] = {}
        size = 0
        served = clock()
        for position in positions:
            try:
                encoded[position] = frames = encode(message(position))
            except Exception as error:  # noqa: BLE001 one never stops the others
                flight.batch.fail(position, error)
            else:
                size += len(frames)
            if size < CHUNK:
                if clock() - served <= MAX_UNSERVED:
                    continue
                self._serve(flight)
            self._write(flight, encoded, size)
            self._pause(flight, has_written=bool(encoded))
            encoded, size, served = {}, 0, clock()
        self._write(flight, encoded, size)

    def _serve(self, flight: InFlight) -> None:
        """Handle what has arrived while messages were made."""
        if self.connection.poll():
            return
        flight.settle()
        if not flight.confirms.pending:
            raise LostWhileIdleError

    def _write(self, flight: InFlight, encoded: dict[int, bytes], size: int) -> None:
        if encoded:
            self._published += len(encoded)
            flight.add(encoded, size)
            self.connection.write(b"".join(encoded.values()))

    def _pause(self, flight: InFlight, *, has_written: bool) -> None:
        """Send what was written, and wait while the socket or the broker is full."""
        if has_written:
            self._process_events(flight)
        while self._is_congested(flight):
            self._process_events(flight)

    def _is_congested(self, flight: InFlight) -> bool:
        return bool(
            self.connection.blocked_because
            or self.connection.unwritten > MAX_UNWRITTEN
            or flight.size > MAX_IN_FLIGHT
        )

    def _process_events(self, flight: InFlight) -> None:
        """Wait for something to happen. Raise what keeps the batch from going on."""
        self._check()
        started = time.monotonic()
        self.connection.process_events(self._deadline(flight))
        seconds = time.monotonic() - started

        def progress() -> t.Hashable:
            return flight.confirms.pending, self.connection.unsent

        self._timeout.waited(seconds, progress)
        if stopping.is_stopping():
            self._stop_timeout.waited(seconds, progress)
        flight.settle()
        self._check()

    def _deadline(self, flight: InFlight) -> float:
        """Return when to give up the broker: soon, if this thread is told to stop."""
        deadline = self._timeout.deadline()
        if not stopping.is_stopping():
            return deadline
        if not flight.confirms.pending:
            return 0.0
        return min(deadline, self._stop_timeout.deadline())

    def _check(self) -> None:
        if self._closed:
            raise self._closed

    def _on_confirm(self, frame: t.Any) -> None:
        self.is_proven = True
        if self._flight is not None:
            confirms, method = self._flight.confirms, frame.method
            settle = confirms.ack if method.NAME == "Basic.Ack" else confirms.nack
            settle(method.delivery_tag, method.multiple)

    def _on_return(
        self, _: t.Any, method: t.Any, properties: t.Any, body: bytes
    ) -> None:
        message = Message(
            method.exchange, method.routing_key, body, properties, mandatory=True
        )
        reason = f"({method.reply_code}) {method.reply_text}"
        if self._flight is not None:
            self._flight.returned.append(ReturnedMessage(message, reason))

    def _on_close(self, _: t.Any, reason: t.Any) -> None:
        if isinstance(reason, pika.exceptions.ChannelClosedByBroker):
            self._closed = ChannelClosedError(reason.reply_code, reason.reply_text)
