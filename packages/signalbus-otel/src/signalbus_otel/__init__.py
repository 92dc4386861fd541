"""OpenTelemetry metrics and traces for signalbus."""

from __future__ import annotations

from signalbus_otel._columns import Timed
from signalbus_otel._columns import Traced
from signalbus_otel._columns import current_traceparent
from signalbus_otel._columns import current_tracestate
from signalbus_otel._consuming import traced

__all__ = [
    "Timed",
    "Traced",
    "current_traceparent",
    "current_tracestate",
    "traced",
]
