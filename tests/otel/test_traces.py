"""The spans of a burst, and the context that goes out with its messages."""

from __future__ import annotations

import typing as t

import pytest
from opentelemetry import trace
from signalbus import PartialDeliveryError
from signalbus_otel import Timed
from signalbus_otel import Traced

if t.TYPE_CHECKING:
    from conftest import Spans
    from conftest import Wire
    from opentelemetry.sdk.trace import ReadableSpan
    from signalbus import SignalBus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

Record: t.TypeAlias = t.Callable[..., None]


@pytest.fixture
def recorded(spans: Spans, model: SignalModel, record: Record) -> SignalModel:
    """Record a signal in the span ``one``, two in ``other``, and one in none."""
    for name, texts in (("one", ["a"]), ("other", ["b", "c"])):
        with spans.tracer.start_as_current_span(name):
            record(model, *texts)
    record(model, "d")
    return model


def context_of(span: ReadableSpan) -> tuple[int, int]:
    """Return what identifies a span."""
    return span.context.trace_id, span.context.span_id


def parent_of(span: ReadableSpan) -> tuple[int, int]:
    """Return what identifies the parent of a span."""
    assert span.parent is not None
    return span.parent.trace_id, span.parent.span_id


def links_of(span: ReadableSpan) -> list[tuple[int, int]]:
    """Return what identifies the spans to which a span has links."""
    return [(each.context.trace_id, each.context.span_id) for each in span.links]


def carried(wire: Wire, text: str) -> tuple[int, int]:
    """Return what identifies the span that a message carries."""
    _, trace_id, span_id, _ = wire.headers[text]["traceparent"].split("-")
    return int(trace_id, 16), int(span_id, 16)


def test_signal_sent_alone_has_one_span_in_its_trace(
    spans: Spans, bus: SignalBus, model: SignalModel, record: Record, wire: Wire
) -> None:
    """A producer's, which the message carries."""
    with spans.tracer.start_as_current_span("request"):
        record(model, "a")
    bus.flushmany()

    request, send = spans.only("request"), spans.only(f"send {model.__name__}")

    assert trace.SpanKind.PRODUCER is send.kind
    assert context_of(request) == parent_of(send)
    assert [context_of(request)] == links_of(send)
    assert context_of(send) == carried(wire, "a")


def test_signals_of_a_burst_have_spans_in_their_own_traces(
    spans: Spans, bus: SignalBus, recorded: SignalModel, wire: Wire
) -> None:
    """One for the creation of each message, which the message carries."""
    bus.flushmany()
    created = spans.named(f"create {recorded.__name__}")
    other = context_of(spans.only("other"))

    assert [context_of(spans.only("one")), other, other] == list(
        map(parent_of, created)
    )
    assert list(map(context_of, created)) == [carried(wire, text) for text in "abc"]


def test_sending_has_links_to_the_messages_of_a_burst(
    spans: Spans, bus: SignalBus, recorded: SignalModel
) -> None:
    """In a trace of its own, or that of the flush."""
    with spans.tracer.start_as_current_span("flush"):
        bus.flushmany()
    send = spans.only(f"send {recorded.__name__}")
    created = spans.named(f"create {recorded.__name__}")

    assert context_of(spans.only("flush")) == parent_of(send)
    assert list(map(context_of, created)) == links_of(send)
    assert 4 == (send.attributes or {})["messaging.batch.message_count"]


def test_message_of_no_trace_carries_its_sending(
    spans: Spans, bus: SignalBus, recorded: SignalModel, wire: Wire
) -> None:
    """So that its consumer knows who has sent it."""
    bus.flushmany()
    send = spans.only(f"send {recorded.__name__}")

    assert trace.SpanKind.PRODUCER is send.kind
    assert context_of(send) == carried(wire, "d")


def test_span_is_a_clients_if_no_message_carries_it(
    spans: Spans, bus: SignalBus, model: SignalModel, record: Record
) -> None:
    """The semantic conventions want it so."""
    with spans.tracer.start_as_current_span("request"):
        record(model, "a", "b")
    bus.flushmany()

    assert trace.SpanKind.CLIENT is spans.only(f"send {model.__name__}").kind


def test_unsampled_trace_gets_no_spans_and_goes_on(
    spans: Spans, bus: SignalBus, model: SignalModel, record: Record, wire: Wire
) -> None:
    """The message carries what was recorded."""
    with spans.tracer.start_as_current_span("request"):
        record(model, "a")
    context = trace.SpanContext(0x11, 0x22, is_remote=True)
    with trace.use_span(trace.NonRecordingSpan(context)):
        record(model, "b")
    bus.flushmany()

    assert 1 == len(spans.named(f"create {model.__name__}"))
    assert (0x11, 0x22) == carried(wire, "b")
    assert wire.headers["b"]["traceparent"].endswith("-00")


def test_state_of_vendors_goes_on(
    spans: Spans, bus: SignalBus, model: SignalModel, record: Record, wire: Wire
) -> None:
    """It is a part of the context."""
    state = trace.TraceState([("vendor", "x")])
    context = trace.SpanContext(
        0x11, 0x22, is_remote=True, trace_flags=trace.TraceFlags(1), trace_state=state
    )
    with trace.use_span(trace.NonRecordingSpan(context)):
        record(model, "a", "b")
    bus.flushmany()

    assert "vendor=x" == wire.headers["a"]["tracestate"]


def test_nonsense_in_the_column_is_ignored(
    spans: Spans, bus: SignalBus, model: SignalModel, app: t.Any, db: t.Any, wire: Wire
) -> None:
    """The signal is sent all the same."""
    with app.app_context():
        db.session.add_all([model(text=x, traceparent="nonsense") for x in "ab"])
        db.session.commit()

    assert 2 == bus.flushmany()
    assert context_of(spans.only(f"send {model.__name__}")) == carried(wire, "a")


def test_failed_signals_have_failed_spans(
    spans: Spans, bus: SignalBus, recorded: SignalModel, wire: Wire
) -> None:
    """With the error; so does the sending. The others are well."""

    def fail(signals: t.Sequence[Signal]) -> None:
        raise PartialDeliveryError({1: ValueError("no such order")})

    wire.fail = fail
    with pytest.raises(ValueError, match="no such order"):
        bus.flushmany()
    created = spans.named(f"create {recorded.__name__}")
    send = spans.only(f"send {recorded.__name__}")

    assert [True, False, True] == [span.status.is_ok for span in created]
    assert "ValueError" == (created[1].attributes or {})["error.type"]
    assert ["exception"] == [event.name for event in created[1].events]
    assert not send.status.is_ok
    assert ["exception"] == [event.name for event in send.events]


def test_sending_is_current_while_a_model_sends_by_itself(
    spans: Spans,
    bus: SignalBus,
    new_model: t.Callable[..., SignalModel],
    record: Record,
) -> None:
    """What its client traces belongs to it, and nothing does afterwards."""
    current = []

    def send(cls: type, signal: Signal) -> None:
        current.append(trace.get_current_span().get_span_context().span_id)

    own = new_model(
        Traced, signalbus_broker=None, send_signalbus_message=classmethod(send)
    )
    record(own, "a")
    bus.flushmany()

    assert [context_of(spans.only(f"send {own.__name__}"))[1]] == current
    assert not trace.get_current_span().get_span_context().is_valid


def test_model_without_the_column_is_traced_from_its_sending_on(
    spans: Spans,
    bus: SignalBus,
    new_model: t.Callable[..., SignalModel],
    record: Record,
    wire: Wire,
) -> None:
    """Nothing is known of what was before."""
    own = new_model(Timed)
    with spans.tracer.start_as_current_span("request"):
        record(own, "a", "b")
    bus.flushmany()
    send = spans.only(f"send {own.__name__}")

    assert send.parent is None
    assert {context_of(send)} == {carried(wire, "a"), carried(wire, "b")}


@pytest.mark.parametrize("method", ["on_start", "on_end"])
def test_sdk_that_fails_keeps_nothing_from_being_sent(
    method: str,
    spans: Spans,
    bus: SignalBus,
    model: SignalModel,
    record: Record,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged; what is confirmed is not sent again."""
    from opentelemetry.sdk.trace import SpanProcessor

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no span for you")

    record(model, "a")
    processor = type("Failing", (SpanProcessor,), {method: fail})()
    t.cast("t.Any", trace.get_tracer_provider()).add_span_processor(processor)

    assert 1 == bus.flushmany()
    assert "no span for you" in caplog.text
    assert not trace.get_current_span().get_span_context().is_valid
