"""Check what models declare about their messages."""

from __future__ import annotations

import typing as t

from signalbus.messages import check_attributes
from signalbus.messages import misdeclared

from signalbus_rabbitmq._frames import SHORT_STRING_MAX

#: The name of this broker: the ``signalbus_broker`` of models that RabbitMQ sends.
BROKER = "rabbitmq"

_ROUTING_KEY = "a string, or a function of the signal that returns one"
_CONTENT_TYPE = "a shorter string, such as 'application/protobuf'"


def check_model(model: type[t.Any]) -> None:
    """Raise SignalModelError, naming *model*, if it cannot be sent as declared."""
    check_attributes(model, BROKER)
    exchange = getattr(model, "signalbus_exchange", None)
    if not _is_short_string(exchange):
        remedy = "the name of an exchange, a string"
        raise misdeclared(model, BROKER, "signalbus_exchange", exchange, remedy)
    routing_key = getattr(model, "signalbus_routing_key", None)
    if not (callable(routing_key) or _is_short_string(routing_key)):
        name = "signalbus_routing_key"
        raise misdeclared(model, BROKER, name, routing_key, _ROUTING_KEY)
    content_type = getattr(model, "signalbus_content_type", "")
    if not _is_short_string(content_type):
        name = "signalbus_content_type"
        raise misdeclared(model, BROKER, name, content_type, _CONTENT_TYPE)


def _is_short_string(value: t.Any) -> bool:
    return isinstance(value, str) and len(value.encode()) <= SHORT_STRING_MAX
