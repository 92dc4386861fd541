"""Publish the messages of a batch, in chunks, over the connections of a pool."""

from __future__ import annotations

import typing as t

from signalbus import stopping
from signalbus.exceptions import BrokerTimeoutError

from signalbus_celery._failures import ConnectionLostError
from signalbus_celery._outcome import Outcome
from signalbus_celery._patience import run_within
from signalbus_celery._pool import new_publisher
from signalbus_celery._task_call import TaskCall

if t.TYPE_CHECKING:
    from signalbus.brokers import WaitLimit
    from signalbus.messages import MessageBatch

    from signalbus_celery._pool import PublisherPool
    from signalbus_celery._publisher import Publisher

#: How many messages are made and then published together.
CHUNK = 100


class Publishing:
    """Publishes batches of one Celery app.

    :param pool: the idle connections.
    :param timeout: how long the broker may be silent, in seconds.
    """

    def __init__(self, pool: PublisherPool, celery: t.Any, timeout: float) -> None:
        self._pool = pool
        self._celery = celery
        self._timeout = timeout

    def publish(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Publish the unsettled messages of *batch*.

        A lost connection is replaced once, since it may have died long ago. Messages
        that were not confirmed over it are sent again.

        :raises BrokerUnavailableError: if the broker cannot be reached, or is silent.
        """
        try:
            self._publish(batch, limit)
        except ConnectionLostError:
            self._pool.abandon()  # the others are as old
            if limit.is_over or stopping.is_stopping():
                raise
            self._publish(batch, limit)
        except BrokerTimeoutError:
            self._pool.abandon()
            raise

    def connect(self, limit: WaitLimit) -> Publisher:
        """Return an open publisher that is not in use.

        :raises BrokerUnavailableError: if the broker cannot be reached, or is silent.
        """
        publisher = self._pool.take(self._celery)
        if publisher is None:
            publisher = new_publisher(self._celery, self._timeout)
            run_within(limit, publisher.open, publisher)
        limit.note_progress()
        return publisher

    def _publish(self, batch: MessageBatch, limit: WaitLimit) -> None:
        for calls in _chunks(batch):
            publisher = self.connect(limit)
            outcome = Outcome(limit)
            try:
                run_within(
                    limit,
                    lambda: publisher.publish(calls, outcome, limit),  # noqa: B023 it is called at once
                    publisher,
                )
            finally:
                outcome.write_to(batch)
            self._pool.put(publisher)


def _chunks(batch: MessageBatch) -> t.Iterator[list[TaskCall]]:
    """Make the unsettled calls; fail those that cannot be made."""
    calls = []
    for message in batch:
        try:
            calls.append(TaskCall.of(message))
        except Exception as error:  # noqa: BLE001 one signal never stops the others
            batch.fail(message.position, error)
        if len(calls) == CHUNK:
            yield calls
            calls = []
    if calls:
        yield calls
