"""Publish batches to one broker, and connect to it again when that may help."""

from __future__ import annotations

import time
import typing as t
import weakref

from signalbus import stopping

from signalbus_rabbitmq import exceptions
from signalbus_rabbitmq._batch import PublishBatch
from signalbus_rabbitmq._channel import ConfirmChannel
from signalbus_rabbitmq._channel import LostWhileIdleError
from signalbus_rabbitmq._failures import describe
from signalbus_rabbitmq._pool import ConnectionPool

if t.TYPE_CHECKING:
    import pika

    from signalbus_rabbitmq._timeouts import Timeout
    from signalbus_rabbitmq.message import Message

#: How many messages in a row may time out, each alone, before the broker itself counts
#: as unavailable.
MAX_TIMEOUTS = 2

#: How long connecting again may take after a timeout, in seconds: a broker that works
#: is faster.
RECONNECT_TIMEOUT = 5.0


class Broker:
    """A broker, and the connections to it that are open.

    :param parameters: how to connect to it, as pika has it.
    """

    def __init__(self, parameters: pika.ConnectionParameters) -> None:
        self._parameters = parameters
        self._pool = ConnectionPool()
        self._timeouts = 0  # of messages that were alone, since the last confirm
        weakref.finalize(self, self._pool.close)

    def publish(
        self, messages: t.Sequence[Message], timeout: Timeout, allow_retry: bool = True
    ) -> None:
        """Publish *messages* or raise what :meth:`Publisher.publish_messages` promises.

        The items of *messages* are requested when they are written, so that they are
        made while the broker handles those before them. An item that cannot be made is
        a failure at its position, like one that cannot be sent.
        """
        batch = PublishBatch(messages)
        try:
            self._publish(batch, timeout, allow_retry)
        except exceptions.DeliveryError as error:
            # A connection that is lost when all is settled concerns nobody here.
            if batch.fail_rest(error):
                text = describe(batch.failures, len(messages), error)
                raise type(error)(text, batch.failures) from error
        finally:
            self._note_progress(batch)
        batch.fail_timed_out()
        if failures := batch.failures:
            raise exceptions.DeliveryError(describe(failures, len(messages)), failures)

    def close(self) -> None:
        """Close the connections that are not in use."""
        self._pool.close()

    def _publish(
        self, batch: PublishBatch, timeout: Timeout, allow_retry: bool
    ) -> None:
        """Publish over one connection, or several in turn."""
        channel = self._pool.take() or self._open(timeout.deadline())
        while True:
            try:
                self._publish_over(channel, batch, timeout)
            except LostWhileIdleError:
                pass
            except exceptions.ConnectionError:
                if not allow_retry or _is_hopeless(channel):
                    raise
                allow_retry = False
            except exceptions.TimeoutError as error:
                if _is_hopeless(channel):
                    raise
                if not timeout.restart():
                    # Idle connections are as old, and may be dead, too: the next call,
                    # which may have less time, must not wait for each of them.
                    self._pool.abandon()
                    raise
                self._isolate(batch, error)
            else:
                return
            # A new connection also shows that the broker is there.
            reconnect_until = time.monotonic() + RECONNECT_TIMEOUT
            channel = self._open(min(reconnect_until, timeout.deadline()))

    def _publish_over(
        self, channel: ConfirmChannel, batch: PublishBatch, timeout: Timeout
    ) -> None:
        """Publish over *channel*, and keep it unless something is wrong with it."""
        try:
            batch.publish(channel, timeout)
        except BaseException:
            channel.abort()
            raise
        self._pool.put(channel)

    def _isolate(self, batch: PublishBatch, error: exceptions.TimeoutError) -> None:
        """Find the message that times out; raise *error* if it is not the message."""
        self._note_progress(batch)
        if batch.isolate(error):
            self._timeouts += 1
        if self._timeouts > MAX_TIMEOUTS:
            raise error

    def _note_progress(self, batch: PublishBatch) -> None:
        if batch.pop_progress():
            self._timeouts = 0

    def _open(self, deadline: float) -> ConfirmChannel:
        return ConfirmChannel.open(self._parameters, deadline)


def _is_hopeless(channel: ConfirmChannel) -> bool:
    """Return whether another connection would not help, or there is no time for it."""
    return bool(channel.connection.blocked_because) or stopping.is_stopping()
