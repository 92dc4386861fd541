"""Plugins learn, after each transaction, what was sent and what finally failed."""

from __future__ import annotations

import typing as t

import pytest
from signalbus import BrokerUnavailableError
from signalbus import MissingTableError
from signalbus import NoBrokerError
from signalbus import PartialDeliveryError
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel


class Reporter:
    """Keeps all that it is told of bursts."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self.sent: list[tuple[int, int]] = []
        self.failed: list[tuple[BaseException, dict[PrimaryKey, Exception]]] = []
        self.seconds: list[int] = []

    @hookimpl
    def signalbus_burst_sent(
        self, bus: SignalBus, model: SignalModel, count: int, seconds: float
    ) -> None:
        """Keep the count and the whole seconds."""
        self.sent.append((count, int(seconds)))

    @hookimpl
    def signalbus_burst_failed(
        self,
        bus: SignalBus,
        model: SignalModel,
        error: BaseException,
        failed: t.Mapping[PrimaryKey, Exception],
        seconds: float,
    ) -> None:
        """Keep the errors and the whole seconds."""
        self.failed.append((error, dict(failed)))
        self.seconds.append(int(seconds))


@pytest.fixture
def reporter(bus: SignalBus) -> Reporter:
    """Register a reporter."""
    reporter = Reporter()
    bus.plugin_manager.register(reporter)
    return reporter


@pytest.fixture
def boom(wire: t.Any) -> ValueError:
    """Let the signal "bad" fail."""
    wire.failures["bad"] = ValueError("boom")
    return wire.failures["bad"]


class SlowBroker:
    """A broker that takes 100 seconds for each burst, and may refuse it."""

    name = "pigeons"

    def __init__(self, clock: t.Any, error: Exception | None) -> None:
        """Raise *error*, if it is given."""
        self.clock = clock
        self.error = error

    @hookimpl
    def signalbus_send_burst(self) -> bool:
        """Take its time."""
        self.clock.advance(100)
        if self.error:
            raise self.error
        return True


@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_seconds_of_a_burst_are_reported(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    reporter: Reporter,
    clock: t.Any,
    method: str,
) -> None:
    """From the start of its transaction to its commit."""
    bus.plugin_manager.register(SlowBroker(clock, None))
    record(new_model(form="pigeons"), "a", "b")
    getattr(bus, method)()

    assert [(1, 100), (1, 100)] == reporter.sent


def test_seconds_of_a_failed_burst_are_reported(
    bus: SignalBus, new_model: t.Any, record: t.Any, reporter: Reporter, clock: t.Any
) -> None:
    """Since the start of its transaction."""
    bus.plugin_manager.register(SlowBroker(clock, BrokerUnavailableError()))
    record(new_model(form="pigeons"), "a")
    with pytest.raises(BrokerUnavailableError):
        bus.flush()

    assert [100] == reporter.seconds


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("method", ["flush", "flushmany"])
def test_burst_that_is_sent_one_by_one_is_reported_once(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    reporter: Reporter,
    boom: ValueError,
    form: str,
    method: str,
) -> None:
    """Only what finally failed is reported, not the burst that was sent again."""
    record(new_model(form=form, burst=True, signalbus_burst_count=3), "a", "bad", "b")
    with pytest.raises(ValueError, match="boom"):
        getattr(bus, method)()

    assert [(boom, {(2,): boom})] == reporter.failed
    assert 2 == sum(count for count, _ in reporter.sent)


@pytest.mark.databases
def test_every_failed_signal_is_reported_with_its_reason(
    bus: SignalBus, new_model: t.Any, record: t.Any, reporter: Reporter, wire: t.Any
) -> None:
    """Of a burst that failed in part, the error is the first one."""
    reasons = {0: ValueError("boom"), 2: LookupError("lost")}
    wire.cut = PartialDeliveryError(reasons)
    record(new_model(burst=True, signalbus_burst_count=3), "a", "b", "c")
    with pytest.raises(ValueError, match="boom"):
        bus.flush()

    assert [(reasons[0], {(1,): reasons[0], (3,): reasons[2]})] == reporter.failed
    assert [1] == [count for count, _ in reporter.sent]


def test_flushordered_reports_the_signal_that_stopped_it(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    reporter: Reporter,
    boom: ValueError,
) -> None:
    """What is behind it was not tried, and did not fail."""
    record(new_model(signalbus_burst_count=10), "a", "bad", "b", "bad")
    with pytest.raises(ValueError, match="boom"):
        bus.flushordered()

    assert [(boom, {(2,): boom})] == reporter.failed


def test_autoflush_reports_failures(
    db: SQLAlchemy, greeting: SignalModel, reporter: Reporter, boom: ValueError
) -> None:
    """A commit raises nothing, but its plugins hear of it."""
    db.session.add(greeting(text="bad"))
    db.session.commit()

    assert [(boom, {(1,): boom})] == reporter.failed


def test_missing_table_is_reported_without_signals(
    bus: SignalBus, db: SQLAlchemy, greeting: SignalModel, reporter: Reporter
) -> None:
    """Where no signal was read, none has failed."""
    with db.engine.begin() as connection:
        greeting.__table__.drop(connection)
    with pytest.raises(MissingTableError):
        bus.flush()
    ((error, failed),) = reporter.failed

    assert isinstance(error, MissingTableError)
    assert {} == failed


def test_missing_broker_is_reported_without_signals(
    bus: SignalBus, new_model: t.Any, record: t.Any, reporter: Reporter
) -> None:
    """That nobody sends a model is the fault of its declaration."""
    record(new_model(form="nobody"), "a")
    with pytest.raises(NoBrokerError):
        bus.flush()
    ((error, failed),) = reporter.failed

    assert isinstance(error, NoBrokerError)
    assert {} == failed


@pytest.mark.parametrize(
    "hook",
    ["signalbus_burst_sent", "signalbus_burst_failed", "signalbus_broker_down"],
)
def test_plugins_are_called_in_the_order_of_pluggy(bus: SignalBus, hook: str) -> None:
    """``tryfirst``, ``trylast`` and wrappers hold, though each plugin fails alone."""
    calls: list[str] = []
    for name, options in [
        ("late", {"trylast": True}),
        ("early", {"tryfirst": True}),
        ("first registered", {}),
        ("last registered", {}),
    ]:
        bus.plugin_manager.register(_Caller(hook, name, calls, options))
    arguments = dict.fromkeys(
        ["bus", "model", "count", "seconds", "error", "failed", "broker"]
    )
    getattr(bus.plugin_manager.hook, hook)(**arguments)

    assert ["early", "last registered", "first registered", "late"] == calls


class _Caller:
    """Keeps its name when its hook is called, and raises."""

    def __init__(
        self, hook: str, name: str, calls: list[str], options: dict[str, bool]
    ) -> None:
        def call() -> None:
            calls.append(name)
            raise LookupError(name)

        setattr(self, hook, hookimpl(**options)(call))
