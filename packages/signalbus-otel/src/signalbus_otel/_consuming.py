"""Continue the trace of a message while it is processed."""

from __future__ import annotations

import functools
import time
import typing as t

from opentelemetry import propagate
from opentelemetry import trace

from signalbus_otel import _instruments
from signalbus_otel._contexts import span_context
from signalbus_otel._facts import error_type
from signalbus_otel._spans import TRACER
from signalbus_otel._spans import fail

if t.TYPE_CHECKING:
    from opentelemetry.context import Context

    from signalbus_otel._facts import Attributes

#: The error type of a message that the consumer rejects.
REJECTED: t.Final = "rejected"


class Properties(t.Protocol):
    """The required properties of a message. Those of RabbitMQ have them."""

    @property
    def headers(self) -> t.Any:
        """The headers, if there are any."""

    @property
    def message_id(self) -> t.Any:
        """The id, if there is one."""


F = t.TypeVar("F", bound=t.Callable[..., bool])


def traced(process_message: F) -> F:
    """Make ``process_message`` of a consumer continue the trace of each message.

    A decorator for subclasses of ``signalbus_rabbitmq.Consumer``. Each call gets a span
    of its own, which is a child of the span that sent the message. An exception is
    recorded on the span and raised. ``False``, which rejects the message, is recorded
    as an error, too. The duration is recorded as ``messaging.process.duration``.
    """

    @functools.wraps(process_message)
    def process(self: object, body: bytes, properties: Properties) -> bool:
        attributes = _attributes(self)
        with _span(attributes, properties) as span:
            began = time.perf_counter()
            try:
                answer = process_message(self, body, properties)
            except BaseException as error:
                fail(span, error)
                _measure(time.perf_counter() - began, attributes, error_type(error))
                raise
            if answer is False:
                span.set_attribute("error.type", REJECTED)
                span.set_status(trace.StatusCode.ERROR, "The message is rejected.")
            kind = REJECTED if answer is False else None
            _measure(time.perf_counter() - began, attributes, kind)
            return answer

    return t.cast("F", process)


def _span(
    attributes: Attributes, properties: Properties
) -> t.ContextManager[trace.Span]:
    """Start a current span that is a child of the one that sent the message."""
    context = _context_of(properties)
    sender = span_context(context)
    message_id = properties.message_id
    of_message = {"messaging.message.id": str(message_id)} if message_id else {}
    return TRACER.start_as_current_span(
        f"process {attributes['messaging.destination.name']}",
        context,
        trace.SpanKind.CONSUMER,
        {**attributes, **of_message},
        [trace.Link(sender)] if sender.is_valid else [],
        record_exception=False,
        set_status_on_exception=False,
    )


def _context_of(properties: Properties) -> Context:
    """Return the context that the headers of a message carry."""
    headers = properties.headers or {}
    texts = {str(k).lower(): v for k, v in headers.items() if isinstance(v, str)}
    return propagate.extract(texts)


def _attributes(consumer: object) -> Attributes:
    return {
        "messaging.system": "rabbitmq",
        "messaging.destination.name": str(getattr(consumer, "queue", None) or ""),
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
    }


def _measure(seconds: float, attributes: Attributes, kind: str | None) -> None:
    _instruments.CONSUMED_MESSAGES.add(1, attributes)
    if kind is not None:
        attributes = {**attributes, "error.type": kind}
    _instruments.PROCESS_DURATION.record(seconds, attributes)
