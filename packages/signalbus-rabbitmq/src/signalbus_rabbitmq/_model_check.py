"""Check what models declare about their messages."""

from __future__ import annotations

import typing as t

from signalbus.exceptions import SignalModelError

from signalbus_rabbitmq._frames import SHORT_STRING_MAX

#: The name of this broker: the ``signalbus_broker`` of models that RabbitMQ sends.
BROKER = "rabbitmq"


def check_model(model: type[t.Any]) -> None:
    """Raise SignalModelError, naming *model*, if it cannot be sent as declared."""
    exchange = getattr(model, "signalbus_exchange", None)
    if not _is_short_string(exchange):
        raise _refusal(
            model, "signalbus_exchange", exchange, "the name of an exchange, a string"
        )
    routing_key = getattr(model, "signalbus_routing_key", None)
    if not (callable(routing_key) or _is_short_string(routing_key)):
        raise _refusal(
            model,
            "signalbus_routing_key",
            routing_key,
            "a string, or a function of the signal that returns one",
        )
    headers = getattr(model, "signalbus_headers", None)
    if not (headers is None or callable(headers) or isinstance(headers, dict)):
        raise _refusal(
            model, "signalbus_headers", headers, "a dict, or a function of the signal"
        )
    body = getattr(model, "signalbus_body", None)
    if not (body is None or callable(body)):
        raise _refusal(model, "signalbus_body", body, "a function of the signal")
    content_type = getattr(model, "signalbus_content_type", "")
    if not _is_short_string(content_type):
        raise _refusal(
            model,
            "signalbus_content_type",
            content_type,
            "a string, such as 'application/protobuf'",
        )


def _is_short_string(value: t.Any) -> bool:
    return isinstance(value, str) and len(value.encode()) <= SHORT_STRING_MAX


def _refusal(
    model: type[t.Any], attribute: str, value: t.Any, remedy: str
) -> SignalModelError:
    fact = "has no" if value is None else "cannot use its"
    found = "" if value is None else f" ({value!r:.60})"
    return SignalModelError(
        f"The signal model {model.__name__} names RabbitMQ as its broker, and {fact}"
        f" {attribute}{found}. Set it to {remedy}."
    )
