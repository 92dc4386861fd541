"""A connection of pika's that has no loop of its own: its user's thread moves it.

pika's blocking connection waits for the confirm of each message in turn, and its
asynchronous ones own the thread they run in. This is the asynchronous one, moved
forward by whoever waits for something, and never past a deadline. What it needs of
pika's protected interface for adapters is all on this page.
"""

from __future__ import annotations

import time
import typing as t

import pika.channel
import pika.exceptions

from signalbus_rabbitmq import _parameters
from signalbus_rabbitmq import _pika_logs
from signalbus_rabbitmq import _reasons
from signalbus_rabbitmq import _sockets
from signalbus_rabbitmq import exceptions

if t.TYPE_CHECKING:
    import socket

#: How long a connection may take to say goodbye, in seconds.
FAREWELL = 1.0


class Channel(pika.channel.Channel):  # type: ignore[misc]
    """A channel that can have one callback for what is delivered to any consumer.

    pika returns to the queue what still comes for a consumer that is being cancelled,
    and nobody learns of it.
    """

    on_delivery: t.Callable[[t.Any, t.Any, bytes], None] | None = None

    def _on_deliver(self, method_frame: t.Any, header: t.Any, body: bytes) -> None:
        if self.on_delivery is None:
            super()._on_deliver(method_frame, header, body)
        else:
            self.on_delivery(method_frame.method, header.properties, body)


class Connection(pika.SelectConnection):  # type: ignore[misc]
    """A connection to a broker, opened by :meth:`connect`.

    It is used by one thread at a time, and sends heartbeats only while it is moved.
    """

    def __init__(self, parameters: pika.ConnectionParameters) -> None:
        self.address = _parameters.address(parameters)
        self.loss: BaseException | None = None
        self.blocked_because: str | None = None
        self.is_up = False
        self._last_words: BaseException | None = None
        with _pika_logs.demoted():
            super().__init__(
                parameters,
                on_open_callback=self._note_open,
                on_open_error_callback=self._note_loss,
                on_close_callback=self._note_loss,
            )
        _pika_logs.demote_lookups(self.ioloop)
        self.add_on_connection_blocked_callback(self._note_blocked)
        self.add_on_connection_unblocked_callback(self._note_unblocked)
        self.ioloop.activate_poller()

    @classmethod
    def connect(
        cls, parameters: pika.ConnectionParameters, deadline: float
    ) -> Connection:
        """Return an open connection, or raise ConnectionError or TimeoutError."""
        connection = cls(parameters)
        try:
            connection.wait(lambda: connection.is_up, deadline)
        except BaseException:
            connection.abort()
            raise
        return connection

    @property
    def frame_max(self) -> int:
        """The largest frame that the broker takes, in bytes."""
        return t.cast("int", self.params.frame_max)

    @property
    def unwritten(self) -> int:
        """How many bytes still wait for the socket to take them."""
        return 0 if self.loss else t.cast("int", self._get_write_buffer_size())

    @property
    def unsent(self) -> int:
        """How many bytes the other side's system has not taken, as far as is known."""
        return self.unwritten + _sockets.unacknowledged(self._socket)

    def write(self, frames: bytes) -> None:
        """Give *frames*, whole ones only, to the socket; :meth:`advance` sends them."""
        if not self.loss:
            # A view, for what the socket does not take at once is cut off again and
            # again.
            self._output_marshaled_frames([memoryview(frames)])

    def wait(self, condition: t.Callable[[], bool], deadline: float) -> None:
        """Advance until *condition* holds."""
        while not condition():
            self.advance(deadline)

    def advance(self, deadline: float | None = None) -> None:
        """Wait for something to happen on the connection, and let it happen.

        May return early. Raise ConnectionError if the connection is lost, and
        TimeoutError if it is past the *deadline*, a time of the monotonic clock.
        """
        self.check()
        timer = deadline and self.ioloop.call_later(
            self._remaining(deadline), lambda: None
        )
        self._move()
        if timer:
            self.ioloop.remove_timeout(timer)
        self.check()

    def peek(self) -> bool:
        """Take in what has arrived, without waiting; return whether it is still up."""
        if not self.loss:
            self.ioloop.add_callback_threadsafe(lambda: None)
            self._move()
        return self.loss is None

    def check(self) -> None:
        """Raise ConnectionError if the connection is lost."""
        if self.loss:
            raise exceptions.ConnectionError(
                f"RabbitMQ at {self.address}: {self._describe(self.loss)}."
            ) from self.loss

    def shut(self, limit: float = FAREWELL) -> None:
        """Close the connection; tell the broker so unless that takes past *limit*."""
        deadline = time.monotonic() + limit
        try:
            if self.is_open:
                with _pika_logs.demoted():
                    self.close()
            self.wait(lambda: False, deadline)
        except exceptions.DeliveryError:
            self.abort()

    def abort(self) -> None:
        """Close the socket at once, whatever state it is in."""
        deadline = time.monotonic() + FAREWELL
        if not self.loss:
            # What is on its way might arrive any time later, and then twice.
            _sockets.discard_unsent(self._socket)
            # Not ConnectionOpenAborted: while it connects, pika takes that amiss.
            with _pika_logs.demoted():
                self._terminate_stream(pika.exceptions.AMQPConnectionError("given up"))
        while not self.loss and time.monotonic() < deadline:
            self.peek()
        self.ioloop.deactivate_poller()
        self.ioloop.close()

    def _move(self) -> None:
        with _pika_logs.demoted():
            self.ioloop.poll()
            self.ioloop.process_timeouts()

    def _create_channel(
        self, channel_number: int, on_open_callback: t.Callable[[Channel], object]
    ) -> Channel:
        return Channel(self, channel_number, on_open_callback)

    @property
    def _socket(self) -> socket.socket | None:
        return getattr(self._transport, "_sock", None)

    def _remaining(self, deadline: float) -> float:
        remaining = deadline - time.monotonic()
        if remaining > 0:
            return remaining
        if not self.is_up:
            doing = "it took too long to connect"
        elif self.blocked_because:
            doing = f"it takes no messages ({self.blocked_because})"
        else:
            doing = "it did not answer in time"
        raise exceptions.TimeoutError(f"RabbitMQ at {self.address}: {doing}.")

    def _describe(self, loss: BaseException) -> str:
        if self.blocked_because:
            return f"it takes no messages ({self.blocked_because})"
        return _reasons.in_words(
            self._last_words or loss, self.params.virtual_host, was_up=self.is_up
        )

    def _terminate_stream(self, error: Exception | None) -> None:
        """Keep what the broker says when it closes: pika reports a guess at it."""
        if isinstance(error, pika.exceptions.ConnectionClosedByBroker):
            self._last_words = error
        super()._terminate_stream(error)

    def _note_open(self, _: t.Any) -> None:
        self.is_up = True

    def _note_loss(self, _: t.Any, loss: BaseException) -> None:
        self.loss = loss

    def _note_blocked(self, _: t.Any, frame: t.Any) -> None:
        self.blocked_because = frame.method.reason or "blocked"

    def _note_unblocked(self, _connection: t.Any, _frame: t.Any) -> None:
        self.blocked_because = None
