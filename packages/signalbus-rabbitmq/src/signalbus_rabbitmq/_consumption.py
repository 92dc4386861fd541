"""One run of a consumer, over one connection: from connecting to saying goodbye."""

from __future__ import annotations

import time
import typing as t

import pika.exceptions

from signalbus_rabbitmq._connection import Connection
from signalbus_rabbitmq._workers import Delivered
from signalbus_rabbitmq._workers import Workers
from signalbus_rabbitmq.exceptions import TerminatedConsumption

if t.TYPE_CHECKING:
    from signalbus_rabbitmq._wakeup import Wakeup
    from signalbus_rabbitmq._workers import Result
    from signalbus_rabbitmq.consumer import Settings

#: How long the broker may take to know the last acknowledgements, in seconds.
FAREWELL = 5.0

#: How long to wait before asking again whether a queue is empty, in seconds.
RECOUNT = 0.1


class Consumption:
    """What :meth:`Consumer.start` does; everything but processing is in its thread.

    :param is_stopping: tells whether somebody asked for the end.
    :param draining: whether to end when the queue is empty.
    """

    def __init__(
        self,
        settings: Settings,
        workers: Workers,
        wakeup: Wakeup,
        is_stopping: t.Callable[[], bool],
        draining: bool,
    ) -> None:
        self._settings = settings
        self._workers = workers
        self._wakeup = wakeup
        self._is_stopping = is_stopping
        self._draining = draining
        self._consumer_tag: str | None = None
        self._failure: TerminatedConsumption | None = None
        self._is_drained = False
        self._empty_counts = 0

    def run(self) -> None:
        """Consume until stopped or drained; raise what else ends it."""
        deadline = time.monotonic() + self._settings.parameters.stack_timeout
        self._connection = Connection.connect(self._settings.parameters, deadline)
        try:
            self._open_channel()
            self._watch_wakeup()
            self._consume()
            self._finish()
        finally:
            self._connection.shut(FAREWELL)
        if self._failure:
            raise self._failure

    def _consume(self) -> None:
        while not (self._is_stopping() or self._is_drained or self._failure):
            self._connection.advance()

    def _finish(self) -> None:
        """Take nothing new, and wait for what is being processed."""
        if self._consumer_tag and self._channel.is_open:
            self._channel.basic_cancel(self._consumer_tag)
        self._workers.discard_waiting()
        while self._workers.unfinished:
            self._connection.advance()

    def _open_channel(self) -> None:
        self._channel = self._connection.channel(on_open_callback=self._on_open)
        self._channel.add_on_close_callback(self._on_close)
        self._channel.add_on_cancel_callback(self._on_cancel)

    def _on_open(self, channel: t.Any) -> None:
        channel.basic_qos(
            prefetch_size=self._settings.prefetch_size,
            prefetch_count=self._settings.prefetch_count,
            callback=lambda _: self._on_qos(),
        )

    def _on_qos(self) -> None:
        self._consumer_tag = self._channel.basic_consume(
            self._settings.queue,
            on_message_callback=self._on_message,
            callback=lambda _: self._count_if_idle(),
        )

    def _on_message(
        self, _: t.Any, method: t.Any, properties: t.Any, body: bytes
    ) -> None:
        self._empty_counts = 0
        self._workers.submit(Delivered(method.delivery_tag, body, properties))
        if self._failure or self._is_stopping():
            self._workers.discard_waiting()

    def _watch_wakeup(self) -> None:
        loop = self._connection.ioloop
        loop.add_handler(self._wakeup.fileno(), self._on_wakeup, loop.READ)

    def _on_wakeup(self, _fd: int, _events: int) -> None:
        self._wakeup.clear()
        for result in self._workers.collect():
            self._settle(result)
        self._count_if_idle()

    def _settle(self, result: Result) -> None:
        """Tell the broker what became of a message; say nothing if it was not begun."""
        if result.error:
            self._fail("A message could not be processed", result.error)
        if not self._channel.is_open:
            return
        if result.accepted:
            self._channel.basic_ack(result.tag)
        elif result.accepted is False or result.error:
            self._channel.basic_nack(result.tag, requeue=result.error is not None)

    def _count_if_idle(self) -> None:
        """Ask how many messages are in the queue, when none of them is here."""
        if self._draining and not self._workers.unfinished and self._channel.is_open:
            self._channel.queue_declare(
                self._settings.queue, passive=True, callback=self._on_count
            )

    def _on_count(self, frame: t.Any) -> None:
        """Believe the queue is empty when it was so twice, with nothing in between.

        The broker may count a message as delivered that is not here yet; before it
        answers a second time, it delivers that.
        """
        if self._workers.unfinished:
            return
        if frame.method.message_count:
            self._connection.ioloop.call_later(RECOUNT, self._count_if_idle)
            return
        self._empty_counts += 1
        self._is_drained = self._empty_counts > 1
        if not self._is_drained:
            self._count_if_idle()

    def _on_cancel(self, _: t.Any) -> None:
        self._fail("The broker cancelled the consumer: the queue is gone, or has moved")

    def _on_close(self, _: t.Any, reason: t.Any) -> None:
        if isinstance(reason, pika.exceptions.ChannelClosedByBroker):
            self._fail(f"({reason.reply_code}) {reason.reply_text}")

    def _fail(self, what: str, cause: BaseException | None = None) -> None:
        """End the consumption because of *what*, unless it ends already."""
        if self._failure is None:
            because = f"{what}: {type(cause).__name__}: {cause}" if cause else what
            because = because.rstrip(".")
            self._failure = TerminatedConsumption(
                f"Consuming {self._settings.queue!r} from RabbitMQ at"
                f" {self._connection.address} ended. {because}."
            )
            self._failure.__cause__ = cause
