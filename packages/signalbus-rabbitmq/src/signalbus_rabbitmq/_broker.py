"""Publish batches to one broker, and connect to it again when that may help."""

from __future__ import annotations

import typing as t
import weakref

from signalbus_rabbitmq import exceptions
from signalbus_rabbitmq._delivery import Delivery
from signalbus_rabbitmq._delivery import describe
from signalbus_rabbitmq._link import Link
from signalbus_rabbitmq._pool import Pool

if t.TYPE_CHECKING:
    import pika

    from signalbus_rabbitmq.message import Message


class Broker:
    """A broker, and the links to it that are open.

    :param parameters: the way to it, as pika has it.
    """

    def __init__(self, parameters: pika.ConnectionParameters) -> None:
        self._parameters = parameters
        self._pool = Pool()
        weakref.finalize(self, self._pool.close)

    def publish(
        self, batch: t.Sequence[Message], deadline: float, allow_retry: bool = True
    ) -> None:
        """Publish *batch* or raise what :meth:`Publisher.publish_messages` promises.

        The items of *batch* are asked for when they are written, so that making them
        and what the broker does with those before them go on at the same time. An item
        that cannot be made is a failure at its position, like one that cannot be sent.
        """
        delivery = Delivery(batch)
        try:
            self._deliver(delivery, deadline, allow_retry)
        except exceptions.DeliveryError as error:
            delivery.give_up(error)
            failures = delivery.failures
            raise type(error)(
                f"{error} {describe(failures, len(batch))}", failures
            ) from error
        if failures := delivery.failures:
            raise exceptions.DeliveryError(describe(failures, len(batch)), failures)

    def close(self) -> None:
        """Close the links that are not in use."""
        self._pool.close()

    def _deliver(self, delivery: Delivery, deadline: float, allow_retry: bool) -> None:
        link = self._link(deadline)
        try:
            self._run(delivery, link, deadline)
        except exceptions.ConnectionError:
            if link.connection.blocked_because or not allow_retry:
                raise
            self._run(delivery, Link.open(self._parameters, deadline), deadline)

    def _link(self, deadline: float) -> Link:
        return self._pool.take() or Link.open(self._parameters, deadline)

    def _run(self, delivery: Delivery, link: Link, deadline: float) -> None:
        """Deliver over *link*, and keep the link unless something is wrong with it."""
        try:
            delivery.run(link, deadline)
        except BaseException:
            link.abort()
            raise
        self._pool.put(link)
