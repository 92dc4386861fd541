"""A connection to RabbitMQ that publishes many messages before it awaits confirms."""

from __future__ import annotations

import contextlib
import selectors
import socket
import typing as t

from signalbus.stopping import Selector

from signalbus_celery import _failures
from signalbus_celery._confirms import Confirms
from signalbus_celery._producer import SignalProducer
from signalbus_celery._publisher import Publisher

if t.TYPE_CHECKING:
    from signalbus.brokers import WaitLimit
    from signalbus.exceptions import BrokerTimeoutError

    from signalbus_celery._outcome import Outcome
    from signalbus_celery._task_call import TaskCall

#: How long the broker may take to close the connection, in seconds.
CLOSE_TIMEOUT = 1.0

#: How long the rest of a frame may take once its first bytes are there, in seconds.
FRAME_TIMEOUT = 0.05


class AmqpPublisher(Publisher):
    """A connection on which the broker confirms messages asynchronously."""

    _socket: socket.socket | None = None
    _is_blocked = False

    def timed_out(self) -> BrokerTimeoutError:
        """Return the error that the broker is silent, with the reason if known."""
        reason = ": it blocks publishers because of a memory or disk alarm"
        return _failures.timed_out(self.place, reason if self._is_blocked else "")

    def is_alive(self) -> bool:
        """Return whether the broker has not closed the connection meanwhile."""
        try:
            with Selector() as selector:
                selector.register(self._socket, selectors.EVENT_READ)
                while selector.select(0):
                    self._drain(FRAME_TIMEOUT)
        except Exception:  # noqa: BLE001 whatever is wrong with it
            return False
        return True

    def close(self) -> None:
        """Close the connection gracefully if the broker does not take long."""
        with contextlib.suppress(Exception):
            if self._socket is not None:
                self._socket.settimeout(CLOSE_TIMEOUT)
            self._connection.release()
        self.abort()

    def interrupt(self) -> None:
        """Interrupt a thread that reads from the connection or writes to it."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def abort(self) -> None:
        """Close the connection without notifying the broker. Raise nothing."""
        with contextlib.suppress(Exception):
            self._connection.collect()

    def _set_options(self, options: dict[str, t.Any], timeout: float) -> None:
        """Let this class handle confirms; limit each operation to *timeout*."""
        options["confirm_publish"] = False
        options.setdefault("read_timeout", timeout)
        options.setdefault("write_timeout", timeout)
        options.update(on_blocked=self._on_blocked, on_unblocked=self._on_unblocked)

    def _on_blocked(self, _: object) -> None:
        self._is_blocked = True

    def _on_unblocked(self) -> None:
        self._is_blocked = False

    def _use(self, channel: t.Any) -> None:
        self._amqp = channel.connection
        self._socket = self._amqp.sock
        self._confirms = Confirms(channel)
        self._producer = SignalProducer(channel, self._confirms)

    def _publish(
        self, calls: t.Sequence[TaskCall], outcome: Outcome, limit: WaitLimit
    ) -> None:
        """Publish *calls* together, and one by one those that this does not settle."""
        self._confirms.write_to(outcome)
        try:
            self._publish_together(calls, outcome, limit)
        except Exception as error:
            # The broker closes a channel at a message that it refuses, and does not
            # name it. py-amqp has opened it again, but not for confirms.
            if not self._is_about_channel(_failures.cause_of(error)):
                raise
            self._confirms.restart()
        rest = [call for call in calls if not outcome.is_settled(call.position)]
        if rest:
            # A queue that this connection has declared may have been deleted since.
            self._connection.declared_entities.clear()
        for call in rest:
            reason = self._publish_alone(call, limit)
            if reason is not None:
                outcome.fail(call.position, self._refused(call, reason))

    def _publish_together(
        self, calls: t.Sequence[TaskCall], outcome: Outcome, limit: WaitLimit
    ) -> None:
        for call in calls:
            self._check(limit)
            error = self._send(call)
            if error is not None:
                outcome.fail(call.position, error)
        self._wait(limit)
        self._confirms.returned.clear()

    def _publish_alone(self, call: TaskCall, limit: WaitLimit) -> Exception | None:
        """Publish *call* alone; return why the broker refuses it, if it does."""
        self._check(limit)
        try:
            error = self._send(call)
            self._wait(limit)
        except Exception as raised:
            error = _failures.cause_of(raised)
            if not self._is_about_channel(error):
                raise
            self._confirms.restart()
        for _, reason in self._confirms.returned:
            error = reason
        self._confirms.returned.clear()
        return error

    def _wait(self, limit: WaitLimit) -> None:
        """Wait until all published messages are answered."""
        while not self._confirms.is_complete:
            self._check(limit)
            self._drain(limit.nap())

    def _drain(self, seconds: float) -> None:
        """Handle the next answer of the broker, if one arrives within *seconds*."""
        try:
            self._amqp.drain_events(timeout=seconds or FRAME_TIMEOUT)
        except TimeoutError as error:
            if not _failures.is_timeout(error):
                raise

    def _is_about_connection(self, error: Exception) -> bool:
        return self._is_about_channel(error) or super()._is_about_connection(error)

    def _is_about_channel(self, error: Exception) -> bool:
        return isinstance(error, self._connection.channel_errors)
