"""Publish batches to one broker, and connect to it again when that may help."""

from __future__ import annotations

import time
import typing as t
import weakref

from signalbus_rabbitmq import exceptions
from signalbus_rabbitmq._delivery import Delivery
from signalbus_rabbitmq._delivery import describe
from signalbus_rabbitmq._link import Link
from signalbus_rabbitmq._pool import Pool
from signalbus_rabbitmq._round import LostWhileIdleError

if t.TYPE_CHECKING:
    import pika

    from signalbus_rabbitmq._patience import Patience
    from signalbus_rabbitmq.message import Message

#: How many messages in a row may time out, each alone, before it is not their fault.
MAX_TIMEOUTS = 2

#: How long a broker has to prove that it is there, after a timeout, in seconds.
MAX_PROOF = 5.0


class Broker:
    """A broker, and the links to it that are open.

    :param parameters: the way to it, as pika has it.
    """

    def __init__(self, parameters: pika.ConnectionParameters) -> None:
        self._parameters = parameters
        self._pool = Pool()
        self._timeouts = 0  # of messages that were alone, since the last confirm
        weakref.finalize(self, self._pool.close)

    def publish(
        self, batch: t.Sequence[Message], patience: Patience, allow_retry: bool = True
    ) -> None:
        """Publish *batch* or raise what :meth:`Publisher.publish_messages` promises.

        The items of *batch* are asked for when they are written, so that making them
        and what the broker does with those before them go on at the same time. An item
        that cannot be made is a failure at its position, like one that cannot be sent.
        """
        delivery = Delivery(batch)
        try:
            self._deliver(delivery, patience, allow_retry)
        except exceptions.DeliveryError as error:
            # What is lost when all is settled concerns nobody here.
            if delivery.give_up(error):
                failures = delivery.failures
                text = describe(failures, len(batch), error)
                raise type(error)(text, failures) from error
        finally:
            self._note_progress(delivery)
        delivery.finish()
        if failures := delivery.failures:
            raise exceptions.DeliveryError(describe(failures, len(batch)), failures)

    def close(self) -> None:
        """Close the links that are not in use."""
        self._pool.close()

    def _deliver(
        self, delivery: Delivery, patience: Patience, allow_retry: bool
    ) -> None:
        link = self._pool.take() or self._open(patience.deadline())
        while True:
            try:
                self._run(delivery, link, patience)
            except LostWhileIdleError:
                pass
            except exceptions.ConnectionError:
                if link.connection.blocked_because or not allow_retry:
                    raise
                allow_retry = False
            except exceptions.TimeoutError as error:
                if link.connection.blocked_because or not patience.renew():
                    raise
                self._suspect(delivery, error)
            else:
                return
            # Also the proof that the broker is there, so it does not take for ever.
            proof = time.monotonic() + MAX_PROOF
            link = self._open(min(proof, patience.deadline()))

    def _suspect(self, delivery: Delivery, error: exceptions.TimeoutError) -> None:
        """Blame a timeout on the message that was alone on its way, if one was.

        Raise *error* if it is the broker that confirms nothing.
        """
        self._note_progress(delivery)
        if delivery.suspect(error):
            self._timeouts += 1
        if self._timeouts > MAX_TIMEOUTS:
            raise error

    def _note_progress(self, delivery: Delivery) -> None:
        if delivery.take_progress():
            self._timeouts = 0

    def _open(self, deadline: float) -> Link:
        return Link.open(self._parameters, deadline)

    def _run(self, delivery: Delivery, link: Link, patience: Patience) -> None:
        """Deliver over *link*, and keep the link unless something is wrong with it."""
        try:
            delivery.run(link, patience)
        except BaseException:
            link.abort()
            raise
        self._pool.put(link)
