"""The spans of a burst: its sending, and the creation of each message in it."""

from __future__ import annotations

import traceback
import typing as t

from opentelemetry import context as otel_context
from opentelemetry import trace
from signalbus.exceptions import hide_passwords

from signalbus_otel.__about__ import __version__
from signalbus_otel._contexts import message_headers
from signalbus_otel._contexts import recorded_context
from signalbus_otel._contexts import span_context
from signalbus_otel._facts import error_type
from signalbus_otel._instruments import SCOPE

if t.TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Sequence

    from opentelemetry.context import Context
    from signalbus.typing import Signal

    from signalbus_otel._contexts import Headers
    from signalbus_otel._facts import Facts

TRACER: t.Final = trace.get_tracer(SCOPE, __version__)

#: How many links a span has at most. By default, the SDK drops the others.
MAX_LINKS: t.Final = 128

_BURST: t.Final = otel_context.create_key("signalbus.burst")


class BurstSpans:
    """The spans of one burst, from the creation of this object to :meth:`end`.

    A signal that is sent alone has one span, which is a child of the context in which
    it was recorded. In a larger burst, each signal of a sampled trace has a span named
    ``create`` in that trace, and the burst has another span with links to them. The
    recorded context is passed on even if it is not sampled.
    """

    def __init__(self, facts: Facts, signals: Sequence[Signal]) -> None:
        self.signals = signals
        self._created: dict[int, trace.Span] = {}
        recorded = [recorded_context(facts, each) for each in signals]
        if len(signals) == 1:
            self._contexts = recorded
            self._send = self._start_alone(facts, recorded[0])
            self._contexts = [None]  # the message belongs to its sending
        else:
            self._contexts = self._create(facts, recorded)
            self._send = self._start_together(facts)
        own = trace.set_span_in_context(self._send)
        self._own = own
        self._token = otel_context.attach(otel_context.set_value(_BURST, self, own))

    def headers(self) -> list[Headers]:
        """Return the headers of each message."""
        common = message_headers(self._own)
        return [
            common if context is None else message_headers(context)
            for context in self._contexts
        ]

    def end(self, error: BaseException | None, failures: Mapping[int, object]) -> None:
        """End the spans.

        :param error: what the sender has raised, if anything.
        :param failures: why signals failed, by their positions.
        """
        otel_context.detach(self._token)
        if error is not None:
            fail(self._send, error)
        for position, span in self._created.items():
            reason = failures.get(position)
            if isinstance(reason, BaseException):
                fail(span, reason)
            span.end()
        self._send.end()

    @staticmethod
    def _start_alone(facts: Facts, recorded: Context | None) -> trace.Span:
        links = [] if recorded is None else [trace.Link(span_context(recorded))]
        return TRACER.start_span(
            f"send {facts.destination}",
            recorded,
            trace.SpanKind.PRODUCER,
            facts.of_operation("send"),
            links,
        )

    def _start_together(self, facts: Facts) -> trace.Span:
        contexts = [each for each in self._contexts if each is not None]
        # By the conventions, a span whose context is in no message is a client's.
        is_carried = len(contexts) < len(self.signals)
        kind = trace.SpanKind.PRODUCER if is_carried else trace.SpanKind.CLIENT
        count = {"messaging.batch.message_count": len(self.signals)}
        links = [trace.Link(span_context(each)) for each in contexts[:MAX_LINKS]]
        return TRACER.start_span(
            f"send {facts.destination}",
            None,
            kind,
            {**facts.of_operation("send"), **count},
            links,
        )

    def _create(
        self, facts: Facts, recorded: Sequence[Context | None]
    ) -> list[Context | None]:
        """Start a span for each signal of a sampled trace; return their contexts."""
        attributes = facts.of_operation("create")
        contexts = list(recorded)
        for position, context in enumerate(recorded):
            if context is not None and span_context(context).trace_flags.sampled:
                span = TRACER.start_span(
                    f"create {facts.destination}",
                    context,
                    trace.SpanKind.PRODUCER,
                    attributes,
                    [trace.Link(span_context(context))],
                )
                self._created[position] = span
                contexts[position] = trace.set_span_in_context(span, context)
        return contexts


def current_spans(signals: Sequence[Signal]) -> BurstSpans | None:
    """Return the spans of the burst that is being sent, if it consists of *signals*."""
    spans = otel_context.get_value(_BURST)
    is_theirs = isinstance(spans, BurstSpans) and spans.signals is signals
    return t.cast("BurstSpans", spans) if is_theirs else None


def fail(span: trace.Span, error: BaseException) -> None:
    """Record on *span* that it failed, and why; passwords are hidden."""
    message = hide_passwords(str(error))
    stack = "".join(traceback.format_exception(error))
    said = {
        "exception.message": message,
        "exception.stacktrace": hide_passwords(stack),
    }
    span.record_exception(error, said)
    span.set_attribute("error.type", error_type(error))
    span.set_status(trace.StatusCode.ERROR, message)
