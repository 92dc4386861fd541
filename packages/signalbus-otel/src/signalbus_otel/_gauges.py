"""The gauges, which are observed whenever metrics are exported."""

from __future__ import annotations

import typing as t

from opentelemetry.metrics import CallbackOptions
from opentelemetry.metrics import Observation
from signalbus.logs import get_logger

from signalbus_otel._facts import MODEL
from signalbus_otel._instruments import METER
from signalbus_otel._watch import Watch
from signalbus_otel._watch import watches

logger = get_logger("signalbus.otel")

BROKER: t.Final = "signalbus.broker"
DATABASE: t.Final = "signalbus.database"
STATE: t.Final = "signalbus.failure.state"

#: Combines the values of several apps, or of models with the same name.
Combine: t.TypeAlias = t.Callable[[t.Iterable[float]], float]


class Observed(t.NamedTuple):
    """A value that one app observes.

    :param of: the thing observed. If several apps observe the same, it counts once.
    """

    of: t.Hashable
    value: float
    attributes: t.Mapping[str, str]


Observe: t.TypeAlias = t.Callable[[Watch], t.Iterable[Observed]]


def _gauge(
    name: str, unit: str, description: str, combine: Combine = sum
) -> t.Callable[[Observe], Observe]:
    """Register a function that observes the gauge *name* in one app."""

    def register(observe: Observe) -> Observe:
        def callback(_: CallbackOptions) -> t.Iterable[Observation]:
            return _collect(observe, combine)

        METER.create_observable_gauge(name, [callback], unit, description)
        return observe

    return register


def _collect(observe: Observe, combine: Combine) -> list[Observation]:
    """Return the observations of all apps. Errors are not raised to the exporter.

    An SDK keeps only one value for the same attributes, so values are combined.
    """
    values: dict[frozenset[tuple[str, str]], dict[t.Hashable, float]] = {}
    for watch in watches():
        try:
            for each in observe(watch):
                alike = values.setdefault(frozenset(each.attributes.items()), {})
                alike[each.of] = each.value
        except Exception:  # the metrics of others are exported
            logger.warning("A gauge could not be read.", exc_info=True)
    return [
        Observation(combine(alike.values()), dict(attributes))
        for attributes, alike in values.items()
    ]


@_gauge(
    "signalbus.signals.pending",
    "{signal}",
    "Signals that are pending, counted up to a limit",
)
def _pending(watch: Watch) -> t.Iterable[Observed]:
    for place, count in watch.findings().pending.items():
        yield Observed(place, count, {MODEL: place.model})


@_gauge(
    "signalbus.signals.oldest.age",
    "s",
    "How long the oldest pending signal has been waiting",
    max,
)
def _oldest(watch: Watch) -> t.Iterable[Observed]:
    for place, age in watch.findings().ages.items():
        yield Observed(place, age, {MODEL: place.model})


@_gauge(
    "signalbus.failures",
    "{signal}",
    "Pending signals that have failed, counted up to a limit",
)
def _failures(watch: Watch) -> t.Iterable[Observed]:
    for (place, state), count in watch.findings().failures.items():
        yield Observed(place, count, {MODEL: place.model, STATE: state})


@_gauge("signalbus.relays", "{relay}", "Relays that are alive")
def _relays(watch: Watch) -> t.Iterable[Observed]:
    for (database, bind_key), count in watch.findings().relays.items():
        yield Observed(database, count, {DATABASE: bind_key or "default"})


@_gauge(
    "signalbus.breaker.open",
    "1",
    "1 while this process leaves a broker alone that is down, else 0",
    max,
)
def _breakers(watch: Watch) -> t.Iterable[Observed]:
    for broker, is_open in watch.breakers().items():
        yield Observed(watch, is_open, {BROKER: broker})


@_gauge(
    "signalbus.listener.listening",
    "1",
    "1 while the relay of this process is woken by a database, else 0",
    min,
)
def _listeners(watch: Watch) -> t.Iterable[Observed]:
    for database, is_listening in watch.listeners().items():
        yield Observed(watch, is_listening, {DATABASE: database})
