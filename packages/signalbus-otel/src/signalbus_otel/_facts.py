"""What the metrics and spans of a signal model have in common."""

from __future__ import annotations

import dataclasses
import typing as t
import weakref

if t.TYPE_CHECKING:
    from signalbus.typing import Bus
    from signalbus.typing import SignalModel

#: The attributes of metrics and spans.
Attributes: t.TypeAlias = dict[str, "str | int"]

#: The attribute that names the signal model.
MODEL: t.Final = "signalbus.model"

#: The messaging system of models that send by themselves, which is unknown.
OWN_METHODS: t.Final = "signalbus"

#: The attributes of models that make up the name of the destination, by broker.
_DESTINATIONS: t.Final[t.Mapping[str | None, tuple[str, ...]]] = {
    "celery": ("signalbus_task",),
    "kafka": ("signalbus_topic",),
    "nats": ("signalbus_subject",),
    "rabbitmq": ("signalbus_exchange", "signalbus_routing_key"),
    "redis": ("signalbus_stream",),
}


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known about a model.

    :param destination: where its signals go, if that is the same for all of them;
        otherwise, the name of the model.
    :param has_context: whether its signals have a ``traceparent``.
    :param has_state: whether its signals have a ``tracestate``.
    :param has_time: whether its signals have a ``recorded_at``.
    """

    name: str
    system: str
    destination: str
    has_context: bool
    has_state: bool
    has_time: bool

    def of_operation(self, name: str) -> Attributes:
        """Return the attributes of an operation on messages."""
        return {
            "messaging.system": self.system,
            "messaging.destination.name": self.destination,
            "messaging.operation.name": name,
            "messaging.operation.type": name,
            MODEL: self.name,
        }


def facts_of(bus: Bus, model: SignalModel) -> Facts:
    """Return what is known about *model*. It is read on first use."""
    facts = _known.get(model)
    if facts is None:
        declaration = bus.declaration(model)
        columns = declaration.mapper.column_attrs
        facts = _known[model] = Facts(
            name=model.__name__,
            system=declaration.broker or OWN_METHODS,
            destination=_destination(model, declaration.broker),
            has_context="traceparent" in columns,
            has_state="tracestate" in columns,
            has_time="recorded_at" in columns,
        )
    return facts


def error_type(error: BaseException) -> str:
    """Return the type of an error, as the semantic conventions define it."""
    kind = type(error)
    is_builtin = kind.__module__ == "builtins"
    return kind.__qualname__ if is_builtin else f"{kind.__module__}.{kind.__qualname__}"


def _destination(model: SignalModel, broker: str | None) -> str:
    """Return the name of the destination, which must have a low cardinality."""
    values = [getattr(model, name, None) for name in _DESTINATIONS.get(broker, ())]
    return ":".join(each for each in values if each and isinstance(each, str)) or (
        model.__name__
    )


_known: weakref.WeakKeyDictionary[SignalModel, Facts] = weakref.WeakKeyDictionary()
