"""A connection to the broker of a Celery app that publishes the calls of tasks."""

from __future__ import annotations

import contextlib
import typing as t

from signalbus.exceptions import BrokerTimeoutError

from signalbus_celery import _failures
from signalbus_celery._confirms import refused
from signalbus_celery._producer import SignalProducer

if t.TYPE_CHECKING:
    from signalbus.brokers import WaitLimit

    from signalbus_celery._outcome import Outcome
    from signalbus_celery._task_call import TaskCall

#: How long making a TCP connection may take, in seconds, unless the Celery app says so.
CONNECT_TIMEOUT = 5.0


class Publisher:
    """A connection that confirms a message when the call that publishes it returns.

    That holds for Redis, which answers each command, and for most transports of Celery.
    Only one thread may use it at a time. It belongs to the process that has opened it.

    :param celery: the Celery app.
    :param connection: a connection of kombu, not yet open, that nothing else uses.
    :param timeout: how long the broker may be silent, in seconds.
    """

    def __init__(self, celery: t.Any, connection: t.Any, timeout: float) -> None:
        self.celery = celery
        #: The address of the broker.
        self.place = _failures.place_of(connection)
        self._connection = connection
        self._set_options(connection.transport_options, timeout)
        connection.connect_timeout = min(
            connection.connect_timeout or CONNECT_TIMEOUT, timeout
        )

    def open(self) -> None:
        """Connect to the first host of the Celery app that answers.

        :raises BrokerUnavailableError: if none answers.
        """
        try:
            self._connection.ensure_connection(
                max_retries=max(0, len(self._connection.alt) - 1),
                interval_start=0,
                interval_step=0,
                interval_max=0,
            )
            self._use(self._connection.channel())
        except Exception as error:
            self.abort()
            cause = _failures.cause_of(error)
            raise _failures.unreachable(self.place, cause) from error

    def publish(
        self, calls: t.Sequence[TaskCall], outcome: Outcome, limit: WaitLimit
    ) -> None:
        """Publish *calls*, and record the outcome of each in *outcome*.

        :raises BrokerUnavailableError: if the connection is lost or the broker silent.
        """
        try:
            self._publish(calls, outcome, limit)
        except BrokerTimeoutError:
            raise
        except Exception as error:
            cause = _failures.cause_of(error)
            if not _failures.is_lost(cause, self._connection):
                raise
            raise _failures.lost(self.place, cause) from error

    def timed_out(self) -> BrokerTimeoutError:
        """Return the error that the broker is silent."""
        return _failures.timed_out(self.place)

    def is_alive(self) -> bool:
        """Return whether the connection works, as far as this process knows."""
        return True  # the client of Redis looks for itself

    def close(self) -> None:
        """Close the connection, whether or not the broker answers. Raise nothing."""
        self.abort()

    def interrupt(self) -> None:
        """Make another thread that uses the connection end soon, if possible."""

    def abort(self) -> None:
        """Close the connection without notifying the broker. Raise nothing."""
        with contextlib.suppress(Exception):
            self._connection.release()

    def _set_options(self, options: dict[str, t.Any], timeout: float) -> None:
        """Limit each command to *timeout*, unless the Celery app has set a limit."""
        if self._connection.transport.driver_type == "redis":
            options.setdefault("socket_timeout", timeout)
            options.setdefault("socket_connect_timeout", min(CONNECT_TIMEOUT, timeout))

    def _use(self, channel: t.Any) -> None:
        self._producer = SignalProducer(channel, None)

    def _publish(
        self, calls: t.Sequence[TaskCall], outcome: Outcome, limit: WaitLimit
    ) -> None:
        for call in calls:
            self._check(limit)
            error = self._send(call)
            if error is None:
                outcome.confirm(call.position)
            else:
                outcome.fail(call.position, self._refused(call, error))

    def _send(self, call: TaskCall) -> Exception | None:
        """Let Celery send *call*; return the error of the call, if there is one.

        :raises Exception: if the connection fails.
        """
        self._producer.begin(call)
        try:
            self.celery.send_task(
                call.name,
                call.args,
                call.kwargs,
                task_id=call.id,
                headers=call.headers or None,
                producer=self._producer,
                retry=False,
                ignore_result=True,  # the producer takes that back
                result_cls=_NoResult,
                add_to_parent=False,
                **call.options,
            )
        except Exception as error:
            cause = _failures.cause_of(error)
            if self._is_about_connection(cause):
                raise
            return None if self._producer.has_published else cause
        return None

    def _is_about_connection(self, error: Exception) -> bool:
        return _failures.is_lost(error, self._connection)

    def _refused(self, call: TaskCall, error: Exception) -> Exception:
        """Return *error*, wrapped if the broker has raised it."""
        if isinstance(error, self._connection.channel_errors):
            return refused(call, error)
        return error

    def _check(self, limit: WaitLimit) -> None:
        if limit.is_over:
            raise self.timed_out()


class _NoResult:
    """A placeholder for the result, which is not awaited. It opens no backend."""

    def __init__(self, task_id: str) -> None:
        self.id = task_id
        self.ignored: bool | None = None
