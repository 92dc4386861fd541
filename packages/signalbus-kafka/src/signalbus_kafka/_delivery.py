"""The delivery of the messages of a batch, and the reports about them."""

from __future__ import annotations

import collections
import functools
import time
import typing as t

from confluent_kafka import KafkaError
from confluent_kafka import KafkaException
from signalbus.exceptions import BrokerTimeoutError
from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import MessageRefusedError

from signalbus_kafka import _errors
from signalbus_kafka._errors import Meaning
from signalbus_kafka._record import RecordFactory

if t.TYPE_CHECKING:
    import confluent_kafka
    from confluent_kafka import Producer
    from signalbus.brokers import WaitLimit
    from signalbus.messages import Message
    from signalbus.messages import MessageBatch

    from signalbus_kafka._client import Client
    from signalbus_kafka._record import Record

    Failure: t.TypeAlias = tuple[int, KafkaError, confluent_kafka.Message]

#: How long making the messages of a burst may take, in seconds, before the time counts.
SLOW: t.Final = 0.1

#: How long to wait for the reports of messages that were purged, in seconds.
PURGE_PATIENCE: t.Final = 0.2

_PURGED_UNSENT: t.Final = KafkaError._PURGE_QUEUE  # noqa: SLF001 its public name


class Delivery:
    """The delivery of the unsettled messages of a batch through one client.

    Reports arrive in the thread that polls the client, and are evaluated in the thread
    that sends. Messages are not kept, since librdkafka has copies.

    :param began: when the wait for the batch began, by ``time.monotonic``.
    """

    def __init__(
        self, client: Client, batch: MessageBatch, limit: WaitLimit, began: float
    ) -> None:
        self.client = client
        #: Whether messages that may have been sent were lost.
        self.has_lost = False
        self._batch = batch
        self._limit = limit
        self._began = began
        self._records = RecordFactory(batch)
        self._on_way = 0
        self._confirmed: collections.deque[int] = collections.deque()
        self._failed: collections.deque[Failure] = collections.deque()
        self._refreshed: set[str] = set()
        self._suspects: set[int] = set()
        self._is_alone = len(batch) == 1

    @property
    def is_open(self) -> bool:
        """Whether the client has messages without a report."""
        return self._on_way > 0

    @property
    def is_hopeless(self) -> bool:
        """Whether a new client would not help: time is up, or the cluster is down."""
        return self._limit.is_over or self.client.is_down(self._began)

    @property
    def is_over(self) -> bool:
        """Whether to stop waiting for missing reports."""
        return not self.client.is_usable or self.is_hopeless

    def run(self) -> None:
        """Send the messages, and settle those that can be settled."""
        self.client.serve(0)  # what was reported of the cluster so far is over
        self._send(self._batch)
        if not self._suspects:
            return
        suspects = [each for each in self._batch if each.position in self._suspects]
        pieces = self._halve(suspects)
        while pieces and not self.is_over:
            piece = pieces.pop(0)
            self._is_alone = len(piece) == 1
            self._send(piece)
            pieces[:0] = self._halve(piece)

    def settle(self) -> None:
        """Settle the messages that were reported."""
        confirmed, failed, confirm = self._confirmed, self._failed, self._batch.confirm
        count = len(confirmed)
        for _ in range(count):
            confirm(confirmed.popleft())
        self._on_way -= count
        has_answer = count > 0
        while failed:
            has_answer |= self._fail(*failed.popleft())
            self._on_way -= 1
        if has_answer:
            self._limit.note_progress()
            self.client.outlook.note_answer()

    def await_purged(self) -> None:
        """Wait for the reports of messages that the client has purged."""
        until = time.monotonic() + PURGE_PATIENCE
        self.settle()
        while self.is_open and time.monotonic() < until:
            self.client.serve(PURGE_PATIENCE)
            self.settle()

    def give_up(self) -> None:
        """Stop expecting reports."""
        self.has_lost |= self.is_open
        self._on_way = 0

    def _send(self, messages: t.Iterable[Message]) -> None:
        """Send *messages*, and wait until all are reported or time is up."""
        self._suspects = set()
        began = time.monotonic()
        for message in messages:
            if not self._produce(message):
                break
        if time.monotonic() - began > SLOW:
            self._limit.note_progress()  # the time to make messages is not Kafka's
        self.settle()
        while self._on_way and not self.is_over:
            self.client.serve(self._limit.nap())
            self.settle()

    def _halve(self, messages: list[Message]) -> list[list[Message]]:
        """Return, in two halves, those of *messages* that were refused with others.

        Kafka accepts or refuses the batch of a partition as a whole.
        """
        suspects = [each for each in messages if each.position in self._suspects]
        middle = (len(suspects) + 1) // 2
        return [piece for piece in (suspects[:middle], suspects[middle:]) if piece]

    def _produce(self, message: Message) -> bool:
        """Pass *message* to the client; return whether the client accepts more."""
        try:
            topic, value, key, headers = record = self._records.record(message)
            report = functools.partial(self._report, message.position)
            while (producer := self.client.producer) is not None:
                try:
                    # By position: names would take a third of the time.
                    producer.produce(topic, value, key, -1, report, None, 0, headers)
                except (BufferError, KafkaException) as error:
                    if not self._may_repeat(error, record, producer):
                        return False
                else:
                    self._on_way += 1
                    return True
        except (MessageRefusedError, TypeError, ValueError) as error:
            self._batch.fail(message.position, error)
            return True
        return False

    def _may_repeat(
        self, error: BufferError | KafkaException, record: Record, producer: Producer
    ) -> bool:
        """Return whether *record*, which *producer* did not accept, may be retried.

        :raises MessageRefusedError: if it will never be accepted.
        """
        if isinstance(error, KafkaException):
            self._look_into(error.args[0], record)
        elif len(producer) == 0:
            raise MessageRefusedError(_errors.TOO_LARGE_FOR_QUEUE) from None
        self.client.serve(self._limit.nap())
        self.settle()
        return not self.is_over

    def _look_into(self, error: KafkaError, record: Record) -> None:
        """Return if *record*, which caused *error*, may be retried.

        :raises MessageRefusedError: otherwise.
        """
        topic, value, *_ = record
        if _errors.meaning(error) is Meaning.LOST:
            self.client.outlook.fatal = self.client.outlook.fatal or error
        elif error.code() in _errors.OF_TOPIC and topic not in self._refreshed:
            self._refreshed.add(topic)
            self.client.topics(topic, self._limit.remaining())
        else:
            raise MessageRefusedError(_errors.refusal(error, topic, len(value)))

    def _report(
        self, position: int, error: KafkaError | None, message: confluent_kafka.Message
    ) -> None:
        """Store a report. Called in any thread."""
        if error is None:
            self.client.outlook.has_sent = True
            self._confirmed.append(position)
        else:
            if error.code() != _PURGED_UNSENT:
                self.client.outlook.has_sent = True
            self._failed.append((position, error, message))

    def _fail(
        self, position: int, error: KafkaError, message: confluent_kafka.Message
    ) -> bool:
        """Settle the message if it has failed; return whether Kafka has answered."""
        meaning = _errors.meaning(error)
        if meaning is Meaning.LOST:
            self.has_lost |= error.code() != _PURGED_UNSENT
        elif meaning is Meaning.UNAVAILABLE:
            text = f"Kafka cannot store the message: {_errors.reason(error)}."
            self._batch.fail(position, BrokerUnavailableError(text))
        elif meaning is Meaning.TIMED_OUT:
            text = f"Kafka did not store the message in time: {_errors.reason(error)}."
            self._batch.fail(position, BrokerTimeoutError(text))
        elif meaning is Meaning.ANY_REFUSED and not self._is_alone:
            self._suspects.add(position)
        else:
            size = len(message.value() or b"")
            text = _errors.refusal(error, message.topic(), size)
            self._batch.fail(position, MessageRefusedError(text))
        return error.code() > 0
