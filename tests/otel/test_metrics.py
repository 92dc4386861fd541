"""What is counted and measured as signals are recorded, sent, and fail."""

from __future__ import annotations

import typing as t

import pytest
from signalbus import BrokerUnavailableError
from signalbus import PartialDeliveryError

if t.TYPE_CHECKING:
    from conftest import Metrics
    from conftest import Wire
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

Record: t.TypeAlias = t.Callable[..., None]


def refuse(*texts: str) -> t.Callable[[t.Sequence[Signal]], None]:
    """Return what refuses the signals that have one of these texts."""

    def fail(signals: t.Sequence[Signal]) -> None:
        failures: dict[int, Exception] = {
            position: ValueError(signal.text)
            for position, signal in enumerate(signals)
            if signal.text in texts
        }
        if failures:
            raise PartialDeliveryError(failures)

    return fail


def test_recorded_signals_are_counted(
    metrics: Metrics, model: SignalModel, record: Record
) -> None:
    """When their transaction has committed."""
    record(model, "a", "b", "c")

    assert {None: 3} == metrics.values("signalbus.signals.recorded", model)


def test_what_is_rolled_back_was_never_recorded(
    metrics: Metrics, model: SignalModel, app: Flask, db: SQLAlchemy
) -> None:
    """A rollback counts nothing."""
    with app.app_context():
        db.session.add(model(text="a"))
        db.session.flush()
        db.session.rollback()

    assert "signalbus.signals.recorded" not in metrics.read()


def test_sent_signals_are_counted(
    metrics: Metrics, bus: SignalBus, model: SignalModel, record: Record
) -> None:
    """As messages, when the broker has confirmed them, and as signals that are gone."""
    record(model, "a", "b")
    bus.flushmany()

    read = metrics.read()

    assert [2, 2] == [
        read[name].data.data_points[0].value
        for name in ("messaging.client.sent.messages", "signalbus.signals.sent")
    ]


def test_operations_have_the_attributes_of_the_conventions(
    metrics: Metrics, bus: SignalBus, model: SignalModel, record: Record
) -> None:
    """The semantic conventions for messaging name them."""
    record(model, "a")
    bus.flushmany()

    (point,) = metrics.points("messaging.client.operation.duration", model)

    assert {
        "messaging.system": "wire",
        "messaging.destination.name": model.__name__,
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "signalbus.model": model.__name__,
    } == point.attributes


@pytest.mark.parametrize(
    ("attributes", "destination"),
    [
        ({"signalbus_broker": "kafka", "signalbus_topic": "orders"}, "orders"),
        (
            {
                "signalbus_broker": "rabbitmq",
                "signalbus_exchange": "shop",
                "signalbus_routing_key": "order.paid",
            },
            "shop:order.paid",
        ),
        (
            {
                "signalbus_broker": "rabbitmq",
                "signalbus_exchange": "",
                "signalbus_routing_key": "orders",
            },
            "orders",
        ),
    ],
)
def test_destination_is_where_all_signals_go(
    attributes: dict[str, str],
    destination: str,
    bus: SignalBus,
    new_model: t.Callable[..., SignalModel],
) -> None:
    """A topic, or an exchange and a routing key, if they are texts."""
    from signalbus_otel._facts import facts_of

    assert destination == facts_of(bus, new_model(**attributes)).destination


def test_failures_are_counted_by_their_errors(
    metrics: Metrics, bus: SignalBus, model: SignalModel, record: Record, wire: Wire
) -> None:
    """What failed, and what got through, of one burst."""
    record(model, "a", "b", "c")
    wire.fail = refuse("b")
    with pytest.raises(ValueError, match="b"):
        bus.flushmany()
    read = metrics.read()

    def values(name: str) -> dict[t.Any, float]:
        points = read[name].data.data_points
        return {each.attributes.get("error.type"): each.value for each in points}

    assert {None: 2, "ValueError": 1} == values("messaging.client.sent.messages")
    assert {None: 2} == values("signalbus.signals.sent")
    assert {"ValueError": 1} == values("signalbus.signals.failed")
    assert {"ValueError": 1} == values("signalbus.bursts.failed")


def test_broker_that_is_down_fails_bursts_and_no_signals(
    metrics: Metrics, bus: SignalBus, model: SignalModel, record: Record, wire: Wire
) -> None:
    """No signal is at fault."""

    def fail(signals: t.Sequence[Signal]) -> None:
        raise BrokerUnavailableError

    record(model, "a", "b")
    wire.fail = fail
    with pytest.raises(BrokerUnavailableError):
        bus.flushmany()
    read = metrics.read()

    (burst,) = read["signalbus.bursts.failed"].data.data_points
    assert (
        "signalbus.exceptions.BrokerUnavailableError"
        == (burst.attributes["error.type"])
    )
    assert "signalbus.signals.failed" not in read


def test_burst_of_own_methods_is_measured(
    metrics: Metrics,
    bus: SignalBus,
    new_model: t.Callable[..., SignalModel],
    record: Record,
) -> None:
    """A model that sends by itself says nothing of its system."""
    own = new_model(
        signalbus_broker=None,
        send_signalbus_message=classmethod(lambda cls, signal: None),
    )
    record(own, "a", "b")
    bus.flushmany()

    durations = metrics.values(
        "messaging.client.operation.duration", own, "messaging.system"
    )

    assert {"signalbus": 1} == durations


def test_delivery_is_measured_for_each_signal_that_was_confirmed(
    metrics: Metrics, bus: SignalBus, model: SignalModel, record: Record, wire: Wire
) -> None:
    """If it has ``recorded_at``, whoever has recorded it."""
    record(model, "a", "b", "c")
    wire.fail = refuse("b")
    with pytest.raises(ValueError, match="b"):
        bus.flushmany()

    assert {None: 2} == metrics.values("signalbus.delivery.duration", model)


def test_burst_duration_is_that_of_the_transaction(
    metrics: Metrics, bus: SignalBus, model: SignalModel, record: Record
) -> None:
    """One burst, however many signals."""
    record(model, "a", "b", "c")
    bus.flushmany()

    assert {None: 1} == metrics.values("signalbus.burst.duration", model)


def test_parked_signals_are_counted_once(
    monkeypatch: pytest.MonkeyPatch, metrics: Metrics, request: pytest.FixtureRequest
) -> None:
    """When signalbus-retry gives one up, its transaction has committed."""
    retry = pytest.importorskip("signalbus_retry")
    monkeypatch.setenv("SIGNALBUS_DISABLED_PLUGINS", "")
    make = request.getfixturevalue("new_model")
    own = make(signalbus_retry=retry.RetryPolicy(max_attempts=1))
    request.getfixturevalue("record")(own, "a", "b")
    request.getfixturevalue("wire").fail = refuse("b")

    with pytest.raises(ValueError, match="b"):
        request.getfixturevalue("bus").flushmany()
    request.getfixturevalue("bus").flushmany()

    assert {None: 1} == metrics.values("signalbus.signals.parked", own)
