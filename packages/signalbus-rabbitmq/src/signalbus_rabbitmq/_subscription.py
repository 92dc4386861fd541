"""A subscription to a queue: what is delivered, and what of it is not settled."""

from __future__ import annotations

import time
import typing as t

import pika.exceptions

from signalbus_rabbitmq._hints import create_queue
from signalbus_rabbitmq._workers import Delivery
from signalbus_rabbitmq.exceptions import QueueNotFoundError
from signalbus_rabbitmq.exceptions import TerminatedConsumption

if t.TYPE_CHECKING:
    from signalbus_rabbitmq._connection import Connection
    from signalbus_rabbitmq._settings import Settings

#: AMQP's reply code for a queue that does not exist.
NOT_FOUND = 404


class Events(t.NamedTuple):
    """What a subscription calls when something happens.

    :param delivered: a message came; whether it had been delivered before.
    :param consuming: the broker sends messages from now on.
    :param ended: the broker ended the subscription; why, as which error.
    """

    delivered: t.Callable[[Delivery, bool], None]
    consuming: t.Callable[[], None]
    ended: t.Callable[[str, type[TerminatedConsumption]], None]


class Subscription:
    """A consumer of a queue, in AMQP's sense, on a channel of its own."""

    def __init__(
        self, connection: Connection, settings: Settings, events: Events
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._events = events
        self._consumer_tag: str | None = None
        #: What was delivered and neither acknowledged nor rejected, by delivery tag.
        self.unsettled: dict[int, Delivery] = {}
        self._unsettled_here = 0  # of them, those of the present consumer
        self._channel = connection.channel(on_open_callback=self._on_open)
        self._channel.on_delivery = self._on_delivery
        self._channel.add_on_close_callback(self._on_close)
        self._channel.add_on_cancel_callback(self._on_cancel)

    @property
    def is_open(self) -> bool:
        """Whether the channel is open."""
        return bool(self._channel.is_open)

    def cancel(self) -> None:
        """Ask the broker to send nothing more."""
        if self._consumer_tag and self.is_open:
            self._channel.basic_cancel(self._consumer_tag)

    def acknowledge(self, delivery: Delivery) -> None:
        """Acknowledge *delivery*: the broker forgets it."""
        if self.is_open:
            self._forget(delivery)
            self._channel.basic_ack(delivery.tag)

    def reject(self, delivery: Delivery, *, requeue: bool) -> None:
        """Return *delivery* to the queue, or reject it to the dead letters."""
        if self.is_open:
            self._forget(delivery)
            self._channel.basic_nack(delivery.tag, requeue=requeue)

    def renew(self, held: t.Iterable[Delivery]) -> None:
        """Let the broker send others in place of the messages that are *held*.

        Those count against the prefetch of the consumer that got them. When they take
        half of it, another consumer replaces it, with a prefetch of its own. This is
        done when all of the prefetch is here, so that nothing is on its way: the broker
        would take that back, and a quorum queue counts it as a failed delivery.
        """
        limit = self._settings.prefetch_count
        if not limit or self._unsettled_here < limit or not self.is_open:
            return
        held_here = sum(each.consumer_tag == self._consumer_tag for each in held)
        if held_here * 2 >= limit:
            self._channel.basic_cancel(self._consumer_tag, callback=lambda _: None)
            self._consume()

    def count(self, callback: t.Callable[[int], None]) -> None:
        """Ask how many messages are in the queue, and call *callback* with that."""
        if self.is_open:
            self._channel.queue_declare(
                self._settings.queue,
                passive=True,
                callback=lambda frame: callback(frame.method.message_count),
            )

    def _on_open(self, channel: t.Any) -> None:
        channel.basic_qos(
            prefetch_size=self._settings.prefetch_size,
            prefetch_count=self._settings.prefetch_count,
            callback=lambda _: self._consume(),
        )

    def _consume(self) -> None:
        self._unsettled_here = 0
        self._consumer_tag = self._channel.basic_consume(
            self._settings.queue,
            on_message_callback=lambda *_: None,  # on_delivery gets them
            callback=lambda _: self._events.consuming(),
        )

    def _on_delivery(self, method: t.Any, properties: t.Any, body: bytes) -> None:
        delivery = Delivery(
            method.delivery_tag,
            body,
            properties,
            method.consumer_tag,
            time.monotonic(),
        )
        self.unsettled[delivery.tag] = delivery
        self._unsettled_here += method.consumer_tag == self._consumer_tag
        self._events.delivered(delivery, method.redelivered)

    def _forget(self, settled: Delivery) -> None:
        if self.unsettled.pop(settled.tag, None) is not None:
            self._unsettled_here -= settled.consumer_tag == self._consumer_tag

    def _on_cancel(self, _: t.Any) -> None:
        self._events.ended(
            "The broker cancelled the consumer: the queue is gone, or has moved",
            TerminatedConsumption,
        )

    def _on_close(self, _: t.Any, reason: t.Any) -> None:
        if not isinstance(reason, pika.exceptions.ChannelClosedByBroker):
            return
        what = f"({reason.reply_code}) {reason.reply_text}"
        if reason.reply_code == NOT_FOUND:
            hint = create_queue(self._settings.queue)
            self._events.ended(f"{what}. {hint}", QueueNotFoundError)
        else:
            self._events.ended(what, TerminatedConsumption)
