"""Send the messages of one app through its Celery app."""

from __future__ import annotations

# What Celery imports when something is first sent imports this. An interpreter that is
# about to end, and sends what is left, would not let it.
import concurrent.futures.thread  # noqa: F401
import typing as t

import flask
from signalbus.brokers import CheckLine
from signalbus.brokers import PerProcess
from signalbus.brokers import Sender
from signalbus.exceptions import BrokerUnavailableError

if t.TYPE_CHECKING:
    from signalbus.brokers import WaitLimit
    from signalbus.messages import MessageBatch
    from signalbus.typing import SignalModel

    from signalbus_celery._eager import EagerCalls
    from signalbus_celery._pool import PublisherPool

MISSING = (
    "The app has no Celery app, and models name it as their broker. Set"
    " app.extensions['celery'] to it, as the manual of Flask shows; until then their"
    " signals stay pending."
)


class CelerySender(Sender):
    """Sends messages through ``app.extensions["celery"]`` of the current app.

    :param timeout: how long the broker may be silent, in seconds.
    """

    def __init__(self, timeout: float, eager_calls: EagerCalls) -> None:
        self._timeout = timeout
        self._eager_calls = eager_calls
        self._pools: PerProcess[PublisherPool] = PerProcess(
            _new_pool, lambda pool: pool.close()
        )

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Publish the calls, and confirm those that the broker has stored.

        :raises BrokerUnavailableError: if there is no Celery app, or its broker cannot
            be reached, or is silent.
        """
        celery = current_celery()
        if celery.conf.task_always_eager:
            self._eager_calls.take(celery, batch)
            return
        from signalbus_celery._publishing import Publishing

        Publishing(self._pools.get(), celery, self._timeout).publish(batch, limit)

    def check(
        self, models: t.Sequence[SignalModel], limit: WaitLimit
    ) -> t.Iterator[CheckLine]:
        """Check the Celery app, its broker and its tasks."""
        from signalbus_celery._check import check_broker
        from signalbus_celery._check import check_task

        try:
            celery = current_celery()
        except BrokerUnavailableError as error:
            yield CheckLine("Celery", str(error))
            return
        yield check_broker(celery, self._timeout, limit)
        for model in models:
            yield check_task(celery, model)

    def close(self) -> None:
        """Close the connections of this process."""
        self._pools.discard()


def current_celery() -> t.Any:
    """Return the Celery app of the current app.

    :raises BrokerUnavailableError: if it has none.
    """
    celery = flask.current_app.extensions.get("celery")
    if not hasattr(celery, "send_task"):
        raise BrokerUnavailableError(MISSING)
    return celery


def _new_pool() -> PublisherPool:
    from signalbus_celery._pool import PublisherPool

    return PublisherPool()
