"""A consumer continues the trace of each message."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from opentelemetry import trace
from signalbus_otel import traced

if t.TYPE_CHECKING:
    from conftest import Metrics
    from conftest import Spans

HEADERS = {"traceparent": f"00-{0x11:032x}-{0x22:016x}-01"}


@dataclasses.dataclass
class Properties:
    """The properties of a message."""

    headers: dict[str, t.Any] | None = None
    message_id: str | None = "orders/1"


class Consumer:
    """A consumer of the queue ``orders``."""

    queue = "orders"

    def __init__(self, answer: object = True) -> None:
        """Answer with *answer*, or raise it."""
        self.answer = answer
        self.trace_ids: list[int] = []

    @traced
    def process_message(self, body: bytes, properties: Properties) -> bool:
        """Process a message."""
        self.trace_ids.append(trace.get_current_span().get_span_context().trace_id)
        if isinstance(self.answer, Exception):
            raise self.answer
        return t.cast("bool", self.answer)


def test_processing_is_a_child_of_the_sending(spans: Spans) -> None:
    """A consumer's span, with a link, as the conventions have it."""
    consumer = Consumer()

    assert consumer.process_message(b"", Properties(HEADERS))
    span = spans.only("process orders")

    assert trace.SpanKind.CONSUMER is span.kind
    assert span.parent is not None
    assert (0x11, 0x22) == (span.parent.trace_id, span.parent.span_id)
    assert [0x22] == [link.context.span_id for link in span.links]
    assert [0x11] == consumer.trace_ids
    assert "orders/1" == (span.attributes or {})["messaging.message.id"]


@pytest.mark.parametrize(
    "headers",
    [None, {}, {"traceparent": "nonsense"}, {"traceparent": 1}, {"x-death": [{}]}],
)
def test_message_without_a_context_begins_a_trace(
    spans: Spans, headers: dict[str, t.Any] | None
) -> None:
    """Whatever its headers are."""
    assert Consumer().process_message(b"", Properties(headers))
    assert spans.only("process orders").parent is None


def test_error_is_recorded_and_raised(spans: Spans, metrics: Metrics) -> None:
    """The broker is to know, too."""
    with pytest.raises(ValueError, match="no such order"):
        Consumer(ValueError("no such order")).process_message(b"", Properties(HEADERS))
    span = spans.only("process orders")
    (point,) = metrics.read()["messaging.process.duration"].data.data_points

    assert not span.status.is_ok
    assert ["exception"] == [event.name for event in span.events]
    assert "ValueError" == point.attributes["error.type"]


def test_rejected_message_is_an_error(spans: Spans, metrics: Metrics) -> None:
    """It goes to the dead-letter exchange."""
    assert Consumer(False).process_message(b"", Properties(HEADERS)) is False
    (point,) = metrics.read()["messaging.process.duration"].data.data_points

    assert not spans.only("process orders").status.is_ok
    assert "rejected" == point.attributes["error.type"]


def test_processing_is_counted_and_measured(metrics: Metrics) -> None:
    """With the attributes of the conventions."""
    Consumer().process_message(b"", Properties())
    read = metrics.read()
    (duration,) = read["messaging.process.duration"].data.data_points
    (count,) = read["messaging.client.consumed.messages"].data.data_points

    assert (1, 1) == (duration.count, count.value)
    assert {
        "messaging.system": "rabbitmq",
        "messaging.destination.name": "orders",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
    } == duration.attributes


def test_without_an_sdk_messages_are_processed() -> None:
    """The trace is known nevertheless, for logs."""
    consumer = Consumer()

    assert consumer.process_message(b"", Properties(HEADERS))
    assert [0x11] == consumer.trace_ids


def test_consumer_of_rabbitmq_takes_it() -> None:
    """One line traces a consumer."""
    rabbitmq = pytest.importorskip("signalbus_rabbitmq")
    from signalbus_rabbitmq.consumer import check_processing

    class Orders(rabbitmq.Consumer):  # type: ignore[misc,name-defined]
        @traced
        def process_message(self, body: bytes, properties: t.Any) -> bool:
            return True

    orders = Orders(queue="orders")
    check_processing(orders)

    assert orders.process_message(b"", rabbitmq.MessageProperties(headers=HEADERS))
