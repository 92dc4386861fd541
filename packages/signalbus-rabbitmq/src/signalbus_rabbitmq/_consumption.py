"""One run of a consumer, over one connection: from connecting to saying goodbye."""

from __future__ import annotations

import time
import typing as t

import pika.exceptions

from signalbus_rabbitmq._connection import Connection
from signalbus_rabbitmq._failure_log import describe
from signalbus_rabbitmq._remedies import create_queue
from signalbus_rabbitmq._retries import Fates
from signalbus_rabbitmq._retries import Retries
from signalbus_rabbitmq._workers import Delivered
from signalbus_rabbitmq._workers import Workers
from signalbus_rabbitmq.exceptions import QueueNotFoundError
from signalbus_rabbitmq.exceptions import TerminatedConsumption

if t.TYPE_CHECKING:
    from signalbus_rabbitmq._attempts import Attempts
    from signalbus_rabbitmq._settings import Settings
    from signalbus_rabbitmq._wakeup import Wakeup
    from signalbus_rabbitmq._workers import Result

#: AMQP's reply code for a queue that does not exist.
NOT_FOUND = 404

#: How long the broker may take to know the last acknowledgements, in seconds.
FAREWELL = 5.0

#: How long the workers may take to finish after something went wrong, in seconds.
GRACE = 3.0

#: How long to wait before asking again whether a queue is empty, in seconds.
RECOUNT = 0.1


class Consumption:
    """What :meth:`Consumer.start` does; everything but processing is in its thread.

    :param attempts: what is known of messages that were here before; what goes back to
        the queue unsettled is noted there.
    :param is_stopping: tells whether somebody asked for the end.
    :param draining: whether to end when the queue is empty.
    :param on_begin: called once, with what is consumed from where, when messages may
        come.
    """

    def __init__(  # noqa: PLR0913, PLR0917 all that a run needs to know
        self,
        settings: Settings,
        attempts: Attempts,
        workers: Workers,
        wakeup: Wakeup,
        is_stopping: t.Callable[[], bool],
        draining: bool,
        on_begin: t.Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._attempts = attempts
        self._workers = workers
        self._wakeup = wakeup
        self._is_stopping = is_stopping
        self._draining = draining
        self._on_begin = on_begin
        self._has_begun = False
        self._consumer_tag: str | None = None
        self._unsettled: dict[int, Delivered] = {}
        self._unsettled_here = 0  # of them, those of the present consumer
        self._failure: TerminatedConsumption | None = None
        self._is_drained = False
        self._empty_counts = 0

    def run(self) -> None:
        """Consume until stopped or drained; raise what else ends it."""
        deadline = time.monotonic() + self._settings.parameters.stack_timeout
        self._connection = Connection.connect(self._settings.parameters, deadline)
        self._retries = self._make_retries()
        try:
            self._open_channel()
            self._watch_wakeup()
            self._consume()
            self._finish()
        finally:
            self._connection.shut(FAREWELL)
            self._remember()
        if self._is_drained:
            self._fail_for_messages()
        if self._failure:
            raise self._failure

    def _make_retries(self) -> Retries:
        fates = Fates(
            retry=self._submit,
            give_back=lambda delivered: self._nack(delivered, requeue=True),
            reject=lambda delivered: self._nack(delivered, requeue=False),
        )
        call_later = self._connection.ioloop.call_later
        return Retries(
            self._settings, self._attempts, self._draining, call_later, fates
        )

    def _consume(self) -> None:
        while not self._is_ending:
            self._connection.advance()

    def _finish(self) -> None:
        """Take nothing new, and wait for what is being processed.

        After a failure that is not for ever: a worker that hangs must not keep the
        consumer from starting again.
        """
        if self._consumer_tag and self._channel.is_open:
            self._channel.basic_cancel(self._consumer_tag)
        self._workers.discard_waiting()
        deadline = time.monotonic() + GRACE
        self._connection.ioloop.call_later(GRACE, lambda: None)
        while self._workers.unfinished:
            if self._failure and self._is_too_late(deadline):
                break
            self._connection.advance()

    def _is_too_late(self, deadline: float) -> bool:
        """Return whether it is no use to wait any longer for what workers answer."""
        return not self._channel.is_open or time.monotonic() >= deadline

    def _remember(self) -> None:
        """Note the attempts at what goes back to the queue with the connection."""
        for returned in (*self._unsettled.values(), *self._retries.held):
            self._attempts.remember(returned)

    def _open_channel(self) -> None:
        self._channel = self._connection.channel(on_open_callback=self._on_open)
        self._channel.on_delivery = self._on_message
        self._channel.add_on_close_callback(self._on_close)
        self._channel.add_on_cancel_callback(self._on_cancel)

    def _on_open(self, channel: t.Any) -> None:
        channel.basic_qos(
            prefetch_size=self._settings.prefetch_size,
            prefetch_count=self._settings.prefetch_count,
            callback=lambda _: self._on_qos(),
        )

    def _on_qos(self) -> None:
        self._unsettled_here = 0
        self._consumer_tag = self._channel.basic_consume(
            self._settings.queue,
            on_message_callback=lambda *_: None,  # on_delivery gets them
            callback=lambda _: self._on_consuming(),
        )

    def _on_consuming(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._on_begin(self._source)
        self._count_if_idle()

    def _replace_consumer(self) -> None:
        """Let the broker send others in place of the messages that are held.

        Those count against the prefetch of the consumer that got them: when they have
        half of it, another one takes over, with a prefetch of its own. It does so when
        all of the prefetch is here, so that nothing is on its way: the broker would
        take that back, and a quorum queue counts it as a delivery that failed.
        """
        limit = self._settings.prefetch_count
        if not limit or self._unsettled_here < limit or not self._channel.is_open:
            return
        held = self._retries.held_of(self._consumer_tag)
        if held * 2 < limit or self._is_ending or self._retries.is_full:
            return
        self._channel.basic_cancel(self._consumer_tag, callback=lambda _: None)
        self._on_qos()

    def _on_message(self, method: t.Any, properties: t.Any, body: bytes) -> None:
        delivered = Delivered(
            method.delivery_tag,
            body,
            properties,
            method.consumer_tag,
            time.monotonic(),
        )
        self._unsettled_here += method.consumer_tag == self._consumer_tag
        self._submit(self._retries.recall(delivered, method.redelivered))
        self._replace_consumer()

    def _submit(self, delivered: Delivered) -> None:
        """Have *delivered* processed, unless it is too late for that."""
        self._empty_counts = 0
        self._unsettled[delivered.tag] = delivered
        if not self._is_ending:
            self._workers.submit(delivered)

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
        if isinstance(result.error, Exception):
            self._on_error(result.delivered, result.error)
        elif result.error:
            self._fail("A worker was told to end", result.error)
        elif result.accepted and self._channel.is_open:
            self._forget(result.delivered)
            self._channel.basic_ack(result.delivered.tag)
        elif result.accepted is False:
            self._nack(result.delivered, requeue=False)

    def _on_error(self, delivered: Delivered, error: Exception) -> None:
        self._retries.take(delivered, error)
        self._replace_consumer()

    def _nack(self, delivered: Delivered, *, requeue: bool) -> None:
        if self._channel.is_open:
            self._forget(delivered)
            self._channel.basic_nack(delivered.tag, requeue=requeue)

    def _forget(self, settled: Delivered) -> None:
        if self._unsettled.pop(settled.tag, None) is not None:
            self._unsettled_here -= settled.consumer_tag == self._consumer_tag

    @property
    def _source(self) -> str:
        return f"{self._settings.queue!r} from RabbitMQ at {self._connection.address}"

    @property
    def _under_way(self) -> int:
        """How many messages are being processed, or are going to be."""
        return self._workers.unfinished + self._retries.waiting

    @property
    def _is_ending(self) -> bool:
        return bool(self._is_stopping() or self._is_drained or self._failure)

    def _count_if_idle(self) -> None:
        """Ask how many messages are in the queue, when none is under way here."""
        if self._draining and not self._under_way and self._channel.is_open:
            self._channel.queue_declare(
                self._settings.queue, passive=True, callback=self._on_count
            )

    def _on_count(self, frame: t.Any) -> None:
        """Believe the queue is empty when it was so twice, with nothing in between.

        The broker may count a message as delivered that is not here yet; before it
        answers a second time, it delivers that.
        """
        if self._under_way:
            return
        if frame.method.message_count and not self._retries.is_full:
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
            what = f"({reason.reply_code}) {reason.reply_text}"
            if reason.reply_code == NOT_FOUND:
                what = f"{what}. {create_queue(self._settings.queue)}"
                self._fail(what, error_class=QueueNotFoundError)
            else:
                self._fail(what)

    def _fail_for_messages(self) -> None:
        """Tell that draining has left messages in the queue, or rejected them."""
        returned, rejected = self._retries.given_up, self._retries.rejected
        # Without a limit they all go back to the queue, and with one none does.
        if count := returned or rejected:
            fate = "went back to the queue" if returned else "were rejected"
            self._fail(
                f"{count:,} of its messages could not be processed and {fate}, the"
                " first because of",
                self._retries.first_error,
            )

    def _fail(
        self,
        what: str,
        cause: BaseException | None = None,
        error_class: type[TerminatedConsumption] = TerminatedConsumption,
    ) -> None:
        """End the consumption because of *what*, unless it ends already."""
        if self._failure is None:
            because = f"{what}: {describe(cause)}" if cause else f"{what.rstrip('.')}."
            self._failure = error_class(f"Consuming {self._source} ended. {because}")
            self._failure.__cause__ = cause
