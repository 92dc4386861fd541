"""One run of a consumer, over one connection."""

from __future__ import annotations

import time
import typing as t

from signalbus_rabbitmq import exceptions
from signalbus_rabbitmq._connection import Connection
from signalbus_rabbitmq._failure_log import describe
from signalbus_rabbitmq._retries import Outcomes
from signalbus_rabbitmq._retries import Retries
from signalbus_rabbitmq._subscription import Events
from signalbus_rabbitmq._subscription import Subscription
from signalbus_rabbitmq._workers import GRACE_PERIOD
from signalbus_rabbitmq._workers import Workers
from signalbus_rabbitmq.exceptions import TerminatedConsumption

if t.TYPE_CHECKING:
    from signalbus.stopping import StopToken

    from signalbus_rabbitmq._attempts import Attempts
    from signalbus_rabbitmq._settings import Settings
    from signalbus_rabbitmq._workers import Delivery
    from signalbus_rabbitmq._workers import Result

#: How long the broker may take to learn of the last acknowledgements, in seconds.
CLOSE_TIMEOUT = 5.0

#: How long to wait before asking again whether a queue is empty, in seconds.
COUNT_INTERVAL = 0.1


class ConsumerRun:
    """What :meth:`Consumer.start` does. All but processing is done in its thread.

    :param attempts: what is known of messages that were here before. What goes back to
        the queue unsettled is added to it.
    :param process: processes a message, in a worker thread.
    :param token: ends the run when it is stopped. It is active in this thread.
    :param draining: whether to end when the queue is empty.
    :param on_begin: called once, with what is consumed from where, when messages may
        come.
    """

    def __init__(  # noqa: PLR0913, PLR0917 all that a run needs to know
        self,
        settings: Settings,
        attempts: Attempts,
        process: t.Callable[[Delivery], bool],
        token: StopToken,
        draining: bool,
        on_begin: t.Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._attempts = attempts
        self._process = process
        self._token = token
        self._draining = draining
        self._on_begin = on_begin
        self._has_begun = False
        self._failure: TerminatedConsumption | None = None
        self._is_drained = False
        self._empty_counts = 0

    def run(self) -> None:
        """Consume until stopped or drained. Raise what else ends it."""
        connection = self._connect()
        if connection is None:
            return
        self._connection = connection
        self._workers = Workers(
            self._settings.threads, self._process, self._on_result, self._token
        )
        with self._workers:
            self._retries = self._make_retries()
            events = Events(self._on_delivery, self._on_consuming, self._end)
            self._subscription = Subscription(connection, self._settings, events)
            try:
                self._consume()
                self._finish()
            finally:
                connection.disconnect(CLOSE_TIMEOUT)
                self._remember()
            if self._is_drained:
                self._fail_for_messages()
            if self._failure:
                raise self._failure

    def _connect(self) -> Connection | None:
        """Return an open connection, or ``None`` if told to stop first."""
        if self._token.is_stopping:
            return None
        deadline = time.monotonic() + self._settings.parameters.stack_timeout
        try:
            return Connection.connect(self._settings.parameters, deadline)
        except exceptions.TimeoutError:
            if self._token.is_stopping:
                return None
            raise

    def _make_retries(self) -> Retries:
        outcomes = Outcomes(
            retry=self._submit,
            requeue=lambda delivery: self._subscription.reject(delivery, requeue=True),
            reject=lambda delivery: self._subscription.reject(delivery, requeue=False),
        )
        call_later = self._connection.ioloop.call_later
        return Retries(
            self._settings, self._attempts, self._draining, call_later, outcomes
        )

    def _consume(self) -> None:
        while not self._is_ending:
            self._connection.process_events()

    def _finish(self) -> None:
        """Take nothing new, and wait for what is being processed.

        After a failure the wait is short: a worker that hangs must not keep the
        consumer from starting again.
        """
        self._subscription.cancel()
        self._workers.discard_waiting()
        deadline = time.monotonic() + GRACE_PERIOD
        self._connection.ioloop.call_later(GRACE_PERIOD, lambda: None)
        while self._workers.unfinished:
            if self._failure and self._is_too_late(deadline):
                break
            self._connection.process_events()

    def _is_too_late(self, deadline: float) -> bool:
        """Return whether results of the workers are of no use any more."""
        return not self._subscription.is_open or time.monotonic() >= deadline

    def _remember(self) -> None:
        """Remember the attempts at what goes back to the queue with the connection."""
        for delivery in (*self._subscription.unsettled.values(), *self._retries.held):
            self._attempts.remember(delivery)

    def _on_consuming(self) -> None:
        if not self._has_begun:
            self._has_begun = True
            self._on_begin(self._source)
        self._count_if_idle()

    def _on_delivery(self, delivery: Delivery, redelivered: bool) -> None:
        self._submit(self._retries.recall(delivery, redelivered))
        self._renew_subscription()

    def _submit(self, delivery: Delivery) -> None:
        """Have *delivery* processed, unless it is too late for that."""
        self._empty_counts = 0
        self._subscription.unsettled[delivery.tag] = delivery
        if not self._is_ending:
            self._workers.submit(delivery)

    def _renew_subscription(self) -> None:
        if not (self._is_ending or self._retries.is_full):
            self._subscription.renew(self._retries.held)

    def _on_result(self) -> None:
        """Settle what a worker has processed. Called in that worker's thread."""
        self._connection.ioloop.add_callback_threadsafe(self._settle_results)

    def _settle_results(self) -> None:
        # One call may find the results of several workers, and the next ones none.
        if results := self._workers.collect():
            for result in results:
                self._settle(result)
            self._count_if_idle()

    def _settle(self, result: Result) -> None:
        """Acknowledge, reject or hold a message; leave it alone if it was not begun."""
        if isinstance(result.error, Exception):
            self._retries.take(result.delivery, result.error)
            self._renew_subscription()
        elif result.error:
            self._fail("A worker thread was told to exit", result.error)
        elif result.accepted:
            self._subscription.acknowledge(result.delivery)
        elif result.accepted is False:
            self._subscription.reject(result.delivery, requeue=False)

    @property
    def _source(self) -> str:
        return f"{self._settings.queue!r} from RabbitMQ at {self._connection.address}"

    @property
    def _under_way(self) -> int:
        """How many messages are being processed, or are going to be."""
        return self._workers.unfinished + self._retries.waiting

    @property
    def _is_ending(self) -> bool:
        return bool(self._token.is_stopping or self._is_drained or self._failure)

    def _count_if_idle(self) -> None:
        """Ask how many messages are in the queue, when none is under way here."""
        if self._draining and not self._under_way:
            self._subscription.count(self._on_count)

    def _on_count(self, count: int) -> None:
        """End when the queue was empty twice, with nothing in between.

        The broker may count a message as delivered that is not here yet; before it
        answers a second time, it delivers that.
        """
        if self._under_way:
            return
        if count and not self._retries.is_full:
            self._connection.ioloop.call_later(COUNT_INTERVAL, self._count_if_idle)
            return
        self._empty_counts += 1
        self._is_drained = self._empty_counts > 1
        if not self._is_drained:
            self._count_if_idle()

    def _fail_for_messages(self) -> None:
        """Fail if draining has left messages in the queue, or rejected them."""
        requeued, rejected = self._retries.given_up, self._retries.rejected
        # Without a limit they all go back to the queue, and with one none does.
        if count := requeued or rejected:
            outcome = "went back to the queue" if requeued else "were rejected"
            self._fail(
                f"{count:,} of its messages could not be processed and {outcome}, the"
                " first because of",
                self._retries.first_error,
            )

    def _fail(self, what: str, cause: BaseException | None) -> None:
        """End the run because of *cause*."""
        because = f"{what}: {describe(cause)}" if cause else f"{what}."
        self._end(because, TerminatedConsumption, cause)

    def _end(
        self,
        what: str,
        error_class: type[TerminatedConsumption],
        cause: BaseException | None = None,
    ) -> None:
        """End the run because of *what*, unless it ends already."""
        if self._failure is None:
            because = f"{what.rstrip('.')}."
            self._failure = error_class(f"Consuming {self._source} ended. {because}")
            self._failure.__cause__ = cause
