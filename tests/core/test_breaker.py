"""A broker that is down is probed with one signal, and told of once."""

from __future__ import annotations

import logging
import typing as t

import pytest
from signalbus import PartialDeliveryError
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

METHODS = ["flush", "flushmany", "flushordered"]

TEXTS = [f"{number:02}" for number in range(25)]


@pytest.fixture
def bursts(new_model: t.Any) -> SignalModel:
    """Declare a model that sends ten signals at once."""
    return new_model("Bursts", form="row", burst=True, signalbus_burst_count=10)


@pytest.fixture
def broken(new_broker: t.Any) -> t.Any:
    """Give the wire of a broker that cannot be reached."""
    wire = new_broker("broken").wire
    wire.cut = ConnectionRefusedError("no route")
    return wire


def _sizes(wire: t.Any) -> list[int]:
    return [len(texts) for texts in wire.attempts]


def _fail(bus: SignalBus, method: str = "flush") -> None:
    with pytest.raises(ConnectionError):
        getattr(bus, method)()


@pytest.mark.databases
@pytest.mark.parametrize("method", METHODS)
def test_runs_after_a_failure_probe_with_one_signal(
    bus: SignalBus, bursts: SignalModel, wire: t.Any, record: t.Any, method: str
) -> None:
    """A burst that a broker has not confirmed may have arrived, so one is enough."""
    record(bursts, *TEXTS)
    wire.cut = ConnectionError("reset")
    for _ in range(3):
        _fail(bus, method)

    assert [10, 1, 1] == _sizes(wire)


@pytest.mark.databases
@pytest.mark.parametrize("method", METHODS)
def test_run_goes_on_with_full_bursts_when_the_probe_is_confirmed(
    bus: SignalBus, bursts: SignalModel, wire: t.Any, record: t.Any, method: str
) -> None:
    """A broker that is back gets the backlog at once."""
    record(bursts, *TEXTS)
    wire.cut = ConnectionError("reset")
    _fail(bus, method)
    wire.cut = None

    assert 25 == getattr(bus, method)()
    assert [1, 10, 10, 4] == _sizes(wire)[1:]
    assert sorted(TEXTS) == sorted(wire.sent)


def test_probe_that_is_refused_proves_nothing(
    bus: SignalBus, bursts: SignalModel, wire: t.Any, record: t.Any
) -> None:
    """Only a confirm tells that a broker is back: a bad signal may never get there."""
    record(bursts, *TEXTS)
    wire.cut = ConnectionError("reset")
    _fail(bus)
    wire.cut, wire.failures["00"] = None, ValueError("bad")
    with pytest.raises(ValueError, match="bad"):
        bus.flushmany()

    assert [1, 1, 10, 10, 3] == _sizes(wire)[1:]


@pytest.mark.parametrize("method", METHODS)
def test_first_model_probes_for_all_models_of_its_broker(
    bus: SignalBus, new_model: t.Any, broken: t.Any, record: t.Any, method: str
) -> None:
    """Models of the same broker share its circuit breaker."""
    for name in ("First", "Second"):
        record(new_model(name, form="broken", signalbus_burst_count=10), *TEXTS[:10])
    _fail(bus, method)
    _fail(bus, method)
    del broken.attempts[:1]

    assert [1] == _sizes(broken)
    broken.cut = None
    assert 20 == getattr(bus, method)()


def test_explicit_run_probes_while_the_breaker_is_open(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    broken: t.Any,
    record: t.Any,
    clock: t.Any,
) -> None:
    """Who asks for a flush gets one, with a probe at its beginning."""
    order = new_model("Order", form="broken", signalbus_burst_count=10)
    db.session.add(order(text="a"))
    db.session.commit()
    broken.cut = None
    record(order, "b", "c")

    assert 3 == bus.flushmany()
    assert [1, 1, 2] == _sizes(broken)


def _lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(each.levelname, each.getMessage()) for each in caplog.records]


DOWN = (
    "The broker 'broken' is unavailable, its signals stay pending:"
    " ConnectionRefusedError: no route (first: Order(id=1))"
)


def test_commits_tell_once_that_a_broker_is_down_and_once_that_it_is_back(
    db: SQLAlchemy,
    new_model: t.Any,
    broken: t.Any,
    clock: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Promise 7: one line in the log when it goes, and one when it is back."""
    order = new_model("Order", form="broken")
    for _ in range(100):
        db.session.add(order(text="a"))
        db.session.commit()
        clock.advance(10)
    assert [("WARNING", DOWN)] == _lines(caplog)

    broken.cut = None
    clock.advance(31)
    db.session.add(order(text="a"))
    db.session.commit()
    (_, (level, line)) = _lines(caplog)

    assert "WARNING" == level
    assert line.startswith("The broker 'broken' is back after 103")
    assert line.endswith(" seconds.")


@pytest.mark.parametrize("method", METHODS)
def test_runs_tell_once_that_a_broker_is_down(
    bus: SignalBus,
    new_model: t.Any,
    broken: t.Any,
    record: t.Any,
    told: t.Any,
    caplog: pytest.LogCaptureFixture,
    method: str,
) -> None:
    """Each run raises the error, and names all models in one note."""
    for name in ("Order", "Payment"):
        record(new_model(name, form="broken"), "a")
    _fail(bus, method)
    broken.cut = ConnectionRefusedError("no route")
    with pytest.raises(ConnectionRefusedError) as caught:
        getattr(bus, method)()

    assert [("WARNING", DOWN)] == _lines(caplog)
    (note,) = caught.value.__notes__
    assert note.startswith(
        "The broker 'broken' is unavailable, the signals of Order, Payment stay"
        " pending: ConnectionRefusedError: no route (first: Order(id=1))"
    )


def test_signals_that_were_in_a_burst_when_the_broker_went_are_told_with_it(
    bus: SignalBus,
    new_model: t.Any,
    wire: t.Any,
    record: t.Any,
    pending: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A sender may give each of them an error of its own; a bad signal is another."""
    model = new_model("Order", burst=True, signalbus_burst_count=4)
    record(model, *"abcd")
    wire.cut = PartialDeliveryError(
        {1: ConnectionError("1"), 2: ValueError("bad"), 3: ConnectionError("3")}
    )
    with pytest.raises(ValueError, match="bad") as caught:
        bus.flush()

    assert ["b", "c", "d"] == pending(model)
    (down, kept) = [line for _, line in _lines(caplog)]
    assert down.endswith("(first: Order(id=2), Order(id=3), Order(id=4))")
    assert "Order(id=3) was not sent and stays pending: ValueError: bad" == kept
    assert 2 == len(caught.value.__notes__)


class Stopper:
    """Ends a run when it is told of something, as a command does."""

    @hookimpl
    def signalbus_burst_sent(self) -> None:
        """End the run."""
        raise KeyboardInterrupt


def test_failures_of_a_run_that_is_stopped_are_told(
    bus: SignalBus,
    new_model: t.Any,
    wire: t.Any,
    record: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The burst at hand is accounted for, before anybody can end the run."""
    record(new_model("Order", signalbus_burst_count=3), "a", "bad", "gone")
    wire.failures = {"bad": ValueError("bad"), "gone": ConnectionError("reset")}
    bus.plugin_manager.register(Stopper())
    with pytest.raises(KeyboardInterrupt):
        bus.flush()

    assert ["WARNING", "ERROR"] == [level for level, _ in _lines(caplog)]


@pytest.fixture
def closed_for_commits(
    db: SQLAlchemy, new_model: t.Any, broken: t.Any, clock: t.Any
) -> t.Callable[[], list[int]]:
    """Open the breaker, and commit a signal to a broker that is back."""
    order = new_model("Order", form="broken")

    def commit() -> None:
        db.session.add(order(text="a"))
        db.session.commit()

    commit()
    broken.cut = None
    broken.attempts.clear()

    def attempts() -> list[int]:
        commit()
        return _sizes(broken)

    return attempts


def test_reset_breakers_ends_the_pause(
    bus: SignalBus, closed_for_commits: t.Callable[[], list[int]]
) -> None:
    """After it, autoflush tries all brokers again."""
    bus.reset_breakers()

    assert [1] == closed_for_commits()


def test_reset_breakers_tells_so(
    bus: SignalBus,
    closed_for_commits: t.Callable[[], list[int]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A breaker that is closed by hand is no broker that is back."""
    caplog.clear()
    bus.reset_breakers()
    bus.reset_breakers()
    ((_, line),) = _lines(caplog)

    assert "The broker 'broken' is tried again: its circuit breaker was reset" in line


def test_registering_a_broker_ends_the_pause(
    closed_for_commits: t.Callable[[], list[int]], new_broker: t.Any
) -> None:
    """The broker of one test has nothing to do with that of the next."""
    new_broker("another")

    assert [1] == closed_for_commits()


class Wrapper:
    """Looks on while signals are sent."""

    @hookimpl(wrapper=True)
    def signalbus_send_burst(self) -> t.Generator[None, object, object]:
        """Pass on the answer."""
        return (yield)


@pytest.mark.parametrize("plugin", [object(), Wrapper()], ids=["none", "wrapper"])
def test_registering_another_plugin_does_not(
    bus: SignalBus, closed_for_commits: t.Callable[[], list[int]], plugin: object
) -> None:
    """A plugin that sends nothing says nothing about brokers."""
    bus.plugin_manager.register(plugin)

    assert [] == closed_for_commits()


def test_breakers_of_models_that_send_themselves_are_named_after_them(
    bus: SignalBus,
    greeting: SignalModel,
    wire: t.Any,
    record: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Such a model is its own broker."""
    record(greeting, "a")
    wire.cut = ConnectionError("reset")
    _fail(bus)
    (line,) = [each.getMessage() for each in caplog.records]

    assert logging.WARNING == caplog.records[0].levelno
    assert line.startswith("The broker of Greeting is unavailable")


def test_broker_that_nobody_tries_any_more_is_not_told_to_be_down(
    bus: SignalBus, clock: t.Any
) -> None:
    """Another process has sent what was left; with nothing to send, none is a probe."""
    bus.breakers.record_failure("post")
    clock.advance(60)
    before = bus.breakers.open()
    clock.advance(100)

    assert {"post": 0.0} == before
    assert {} == bus.breakers.open()
    assert not bus.breakers.is_closed("post")


def test_broker_that_is_tried_in_vain_is_told_to_be_down(
    bus: SignalBus, clock: t.Any
) -> None:
    """However long it is down."""
    bus.breakers.record_failure("post")
    for _ in range(10):
        clock.advance(100)
        bus.breakers.record_failure("post")

    assert ["post"] == list(bus.breakers.open())
