"""A connection to a broker that moves forward while its user waits for something.

It never waits past a deadline, and a thread that is told to stop does not wait for it.
"""

from __future__ import annotations

import contextlib
import time
import typing as t

import pika.exceptions
from signalbus import stopping

from signalbus_rabbitmq import _parameters
from signalbus_rabbitmq import _pika_logs
from signalbus_rabbitmq import _reasons
from signalbus_rabbitmq import _sockets
from signalbus_rabbitmq import exceptions
from signalbus_rabbitmq._pika_internals import SteppedConnection

if t.TYPE_CHECKING:
    from signalbus.stopping import StopToken

#: How long closing a connection in good order may take, in seconds.
CLOSE_TIMEOUT = 1.0


class Connection(SteppedConnection):
    """A connection to a broker, opened by :meth:`connect`.

    One thread uses it at a time. Heartbeats are sent only while it is used.
    """

    def __init__(self, parameters: pika.ConnectionParameters) -> None:
        self.address = _parameters.address(parameters)
        self.loss: BaseException | None = None
        self.blocked_because: str | None = None
        self.is_up = False
        self._token: StopToken | None = None
        self._watched: int | None = None
        with _pika_logs.demoted():
            super().__init__(
                parameters,
                on_open_callback=self._on_up,
                on_open_error_callback=self._on_loss,
                on_close_callback=self._on_loss,
            )
        _pika_logs.demote_lookups(self.ioloop)
        self.add_on_connection_blocked_callback(self._on_blocked)
        self.add_on_connection_unblocked_callback(self._on_unblocked)
        self.start_loop()

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
        return 0 if self.loss else self.buffered()

    @property
    def unsent(self) -> int:
        """How many bytes the broker's system has not taken, as far as is known."""
        return self.unwritten + _sockets.unacknowledged(self.socket)

    def write(self, frames: bytes) -> None:
        """Write *frames*, whole ones only. :meth:`process_events` sends them."""
        if not self.loss:
            self.write_frames(frames)

    def wait(self, condition: t.Callable[[], bool], deadline: float) -> None:
        """Process events until *condition* holds.

        Raise ConnectionError if the connection is lost, and TimeoutError at the
        *deadline*, or at once when this thread is told to stop.
        """
        while not condition():
            self.check()
            if stopping.is_stopping():
                raise self._timeout()
            self.process_events(deadline)

    def process_events(self, deadline: float | None = None) -> None:
        """Wait for an event on the connection, and handle it.

        It may return early, and does so once when this thread is told to stop. Raise
        ConnectionError if the connection is lost, and TimeoutError if it is past the
        *deadline*, a time of the monotonic clock.
        """
        self.check()
        self._watch(stopping.current())
        if deadline is None:
            self._run_once()
        else:
            timer = self.ioloop.call_later(self._remaining(deadline), lambda: None)
            self._run_once()
            self.ioloop.remove_timeout(timer)
        self.check()

    def poll(self) -> bool:
        """Handle what has arrived, without waiting. Return whether it is still up."""
        if not self.loss:
            self.ioloop.add_callback_threadsafe(lambda: None)
            self._run_once()
        return self.loss is None

    def release(self) -> None:
        """Let go of the token of the thread that has used the connection."""
        self._watch(None)

    def check(self) -> None:
        """Raise ConnectionError if the connection is lost."""
        if self.loss:
            raise exceptions.ConnectionError(
                f"RabbitMQ at {self.address}: {self._describe(self.loss)}."
            ) from self.loss

    def disconnect(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """Close the connection in good order, or abort it after *timeout* seconds.

        Being told to stop does not shorten this: the broker must learn of the last
        acknowledgements.
        """
        deadline = time.monotonic() + timeout
        try:
            if self.is_open:
                with _pika_logs.demoted():
                    self.close()
            with stopping.shielded():
                self.wait(lambda: False, deadline)
        except exceptions.DeliveryError:
            self.abort()

    def abort(self) -> None:
        """Close the socket at once, and discard what was not sent yet."""
        deadline = time.monotonic() + CLOSE_TIMEOUT
        if not self.loss:
            # It might arrive any time later, and then twice.
            _sockets.discard_unsent(self.socket)
            # Not ConnectionOpenAborted: pika does not expect that while it connects.
            with _pika_logs.demoted():
                self.terminate(pika.exceptions.AMQPConnectionError("given up"))
        while not self.loss and time.monotonic() < deadline:
            self.poll()
        self.close_loop()

    def _run_once(self) -> None:
        with _pika_logs.demoted():
            self.run_once()

    def _watch(self, token: StopToken | None) -> None:
        """Let *token* end a wait when it is stopped: one wait, not all that follow."""
        if token is self._token:
            return
        self._unwatch()
        self._token = token
        if token is not None:
            self._watched = token.fileno()
            self.ioloop.add_handler(self._watched, self._unwatch, self.ioloop.READ)

    def _unwatch(self, *_: int) -> None:
        watched, self._watched = self._watched, None
        if watched is not None:
            with contextlib.suppress(OSError):  # a fork, or the exit, has closed it
                self.ioloop.remove_handler(watched)

    def _remaining(self, deadline: float) -> float:
        remaining = deadline - time.monotonic()
        if remaining > 0:
            return remaining
        raise self._timeout()

    def _timeout(self) -> exceptions.TimeoutError:
        if stopping.is_stopping():
            what = "this process was told to stop, and does not wait for it"
        elif not self.is_up:
            what = "it took too long to connect"
        elif self.blocked_because:
            what = f"it takes no messages ({self.blocked_because})"
        else:
            what = "it did not answer in time"
        return exceptions.TimeoutError(f"RabbitMQ at {self.address}: {what}.")

    def _describe(self, loss: BaseException) -> str:
        if self.blocked_because:
            return f"it takes no messages ({self.blocked_because})"
        return _reasons.in_words(
            self.closed_by_broker or loss, self.params.virtual_host, was_up=self.is_up
        )

    def _on_up(self, _: t.Any) -> None:
        self.is_up = True

    def _on_loss(self, _: t.Any, loss: BaseException) -> None:
        self.loss = loss

    def _on_blocked(self, _: t.Any, frame: t.Any) -> None:
        self.blocked_because = frame.method.reason or "blocked"

    def _on_unblocked(self, _connection: t.Any, _frame: t.Any) -> None:
        self.blocked_because = None
