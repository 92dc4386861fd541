"""The trace contexts of recorded signals and of messages."""

from __future__ import annotations

import typing as t

from opentelemetry import metrics
from opentelemetry import propagate
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if t.TYPE_CHECKING:
    from signalbus.typing import Signal

    from signalbus_otel._facts import Facts

#: The format in which signals store their context, whatever format messages use.
_W3C: t.Final = TraceContextTextMapPropagator()

Headers: t.TypeAlias = dict[str, str]


def recorded_headers(facts: Facts, signal: Signal) -> Headers:
    """Return the context that *signal* has recorded, as W3C Trace Context headers."""
    headers: Headers = {}
    if facts.has_context and signal.traceparent:
        headers["traceparent"] = signal.traceparent
        if facts.has_state and signal.tracestate:
            headers["tracestate"] = signal.tracestate
    return headers


def recorded_context(facts: Facts, signal: Signal) -> Context | None:
    """Return the context that *signal* has recorded, if it has one."""
    headers = recorded_headers(facts, signal)
    if not headers:
        return None
    context = _W3C.extract(headers, Context())
    return context if span_context(context).is_valid else None


def span_context(context: Context) -> trace.SpanContext:
    """Return the span of *context*, for links to it."""
    return trace.get_current_span(context).get_span_context()


def message_headers(context: Context) -> Headers:
    """Return the headers that carry *context*, as the application's propagators do."""
    headers: Headers = {}
    propagate.inject(headers, context)
    return headers


def has_metrics() -> bool:
    """Return whether there is an SDK for metrics. Without one, the API does nothing."""
    provider = type(metrics.get_meter_provider())
    return not provider.__module__.startswith("opentelemetry.metrics")


def has_tracing() -> bool:
    """Return whether there is an SDK for traces."""
    provider = trace.get_tracer_provider()
    return not isinstance(
        provider, (trace.ProxyTracerProvider, trace.NoOpTracerProvider)
    )
