"""``flushordered`` sends in the order of ``signalbus_order_by``."""

from __future__ import annotations

import contextlib
import threading
import typing as t
from concurrent.futures import TimeoutError as FutureTimeoutError

import pytest
import sqlalchemy as sa
from signalbus import hookimpl
from signalbus.stopping import StopToken
from signalbus.testing import MemoryBroker

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel


@pytest.fixture
def ranked(db: SQLAlchemy, new_model: t.Any) -> t.Callable[..., SignalModel]:
    """Declare a model that is ordered by a rank, the highest first."""

    def make(**attributes: t.Any) -> SignalModel:
        rank = sa.Column(sa.Integer)
        key = sa.Column(sa.Integer, primary_key=True)
        order = (db.desc(rank), key)
        return new_model(
            "Ranked", id=key, rank=rank, signalbus_order_by=order, **attributes
        )

    return make


@pytest.fixture
def record_ranks(db: SQLAlchemy) -> t.Callable[..., None]:
    """Make signals pending, one for each rank, with the rank as their text."""

    def insert(model: SignalModel, *ranks: int | None) -> None:
        rows = [{"rank": rank, "text": str(rank)} for rank in ranks]
        with db.engine.begin() as connection:
            connection.execute(sa.insert(model.__table__), rows)

    return insert


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("burst_count", [1, 3, 100])
def test_signals_are_sent_in_order(
    bus: SignalBus,
    ranked: t.Any,
    wire: t.Any,
    record_ranks: t.Any,
    form: str,
    burst_count: int,
) -> None:
    """The order holds within bursts, and from burst to burst."""
    model = ranked(form=form, burst=True, signalbus_burst_count=burst_count)
    record_ranks(model, 3, 1, 4, 5, 9, 2, 6)

    assert 7 == bus.flushordered()
    assert ["9", "6", "5", "4", "3", "2", "1"] == wire.sent
    assert {model: 0} == bus.count_pending()


@pytest.mark.databases
def test_ties_and_nothing_at_all_are_sent_too(
    bus: SignalBus, ranked: t.Any, wire: t.Any, record_ranks: t.Any
) -> None:
    """Signals of the same rank, and of none, are sent like all others, once."""
    model = ranked(signalbus_burst_count=2)
    record_ranks(model, 1, 1, None, 2, 1, None, None, 2, 1)

    assert 9 == bus.flushordered()
    assert ["2", "2", "1", "1", "1", "1"] == [x for x in wire.sent if x != "None"]
    assert 3 == wire.sent.count("None")


@pytest.mark.databases
def test_order_may_be_any_expression(
    bus: SignalBus, new_model: t.Any, wire: t.Any, record: t.Any
) -> None:
    """The order may be computed by the database."""
    text = sa.Column(sa.String(50))
    model = new_model(text=text, signalbus_order_by=(sa.func.length(text),))
    record(model, "ccc", "a", "dddd", "bb")
    bus.flushordered()

    assert ["a", "bb", "ccc", "dddd"] == wire.sent


def test_order_may_be_an_attribute_of_the_model(
    bus: SignalBus, new_model: t.Any, wire: t.Any, record: t.Any
) -> None:
    """The order may be given after the class, by its attributes."""
    model = new_model()
    model.signalbus_order_by = (model.text.desc(),)
    record(model, "a", "c", "b")
    bus.flushordered()

    assert ["c", "b", "a"] == wire.sent


def test_without_an_order_all_are_sent(
    bus: SignalBus, greeting: SignalModel, wire: t.Any, record: t.Any
) -> None:
    """A model that has no order is sent in any."""
    record(greeting, "a", "b", "c")

    assert 3 == bus.flushordered()
    assert ["a", "b", "c"] == sorted(wire.sent)


@pytest.mark.databases
@pytest.mark.parametrize("burst", [True, False])
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("burst_count", [2, 5])
def test_failing_signal_stops_its_model_there(
    bus: SignalBus,
    ranked: t.Any,
    wire: t.Any,
    record_ranks: t.Any,
    pending: t.Any,
    burst: bool,
    form: str,
    burst_count: int,
) -> None:
    """Nothing behind a signal that fails is sent; everything before it is."""
    model = ranked(form=form, burst=burst, signalbus_burst_count=burst_count)
    record_ranks(model, 5, 4, 3, 2, 1)
    wire.failures["3"] = ValueError("boom")
    with pytest.raises(Exception, match=r"boom|Ranked"):
        bus.flushordered()

    assert ["5", "4"] == wire.sent
    assert ["3", "2", "1"] == pending(model)


@pytest.mark.databases
def test_broker_gets_nothing_behind_a_failing_signal(
    bus: SignalBus, ranked: t.Any, record_ranks: t.Any, pending: t.Any
) -> None:
    """A broker takes what it can of a burst, so it gets ordered signals singly."""
    model = ranked(form="memory", signalbus_burst_count=4)
    broker = MemoryBroker()
    broker.refuse(lambda signal: signal.rank == 3)
    bus.plugin_manager.register(broker)
    record_ranks(model, 5, 4, 3, 2, 1)
    with pytest.raises(ValueError, match="refused"):
        bus.flushordered()

    assert [5, 4] == [signal.values["rank"] for signal in broker.sent]
    assert ["3", "2", "1"] == pending(model)


def test_failing_signal_does_not_stop_other_models(
    bus: SignalBus, new_model: t.Any, wire: t.Any, record: t.Any
) -> None:
    """The order of one model is nothing to the others."""
    models = [new_model(name) for name in ("First", "Second", "Third")]
    for model in models:
        record(model, f"bad {model.__name__}", f"good {model.__name__}")
    wire.failures["bad Second"] = ValueError("boom")
    with pytest.raises(Exception, match=r"boom|Second"):
        bus.flushordered()

    assert {"bad First", "good First", "bad Third", "good Third"} == set(wire.sent)


def test_after_the_failure_the_order_goes_on(
    bus: SignalBus, ranked: t.Any, wire: t.Any, record_ranks: t.Any
) -> None:
    """When what failed works again, the next run goes on from there."""
    record_ranks(ranked(), 3, 2, 1)
    wire.failures["3"] = ValueError("boom")
    with pytest.raises(Exception, match=r"boom|Ranked"):
        bus.flushordered()
    wire.failures.clear()
    bus.flushordered()

    assert ["3", "2", "1"] == wire.sent


def _waits(flush: t.Any) -> bool:
    """Tell whether a flush in another thread does not come to its end."""
    try:
        flush.result(timeout=0.2)
    except FutureTimeoutError:
        return True
    return False


@pytest.fixture
def carried(bus: SignalBus, wire: t.Any) -> t.Callable[[int], threading.Event]:
    """Give an event that is set when so many signals were sent and deleted."""

    def watch(count: int) -> threading.Event:
        event = threading.Event()

        class Watcher:
            @hookimpl
            def signalbus_burst_sent(self) -> None:
                if len(wire.sent) >= count:
                    event.set()

        bus.plugin_manager.register(Watcher())
        return event

    return watch


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("burst_count", [1, 2, 100])
def test_locked_signal_is_not_overtaken(
    bus: SignalBus,
    ranked: t.Any,
    wire: t.Any,
    record_ranks: t.Any,
    held: t.Any,
    background: t.Any,
    carried: t.Any,
    form: str,
    burst_count: int,
) -> None:
    """A signal that another connection holds is not overtaken by those behind it."""
    model = ranked(form=form, burst=True, signalbus_burst_count=burst_count)
    record_ranks(model, 5, 4, 3, 2, 1)
    first_two = carried(2)
    with held(model, "3", "1"):
        flush = background(bus.flushordered)

        assert first_two.wait(60)
        assert _waits(flush)
        assert ["5", "4"] == wire.sent

    assert 5 == flush.result()
    assert ["5", "4", "3", "2", "1"] == wire.sent


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("burst_count", [1, 100])
def test_locked_signal_that_goes_away_is_no_obstacle(
    bus: SignalBus,
    db: SQLAlchemy,
    ranked: t.Any,
    wire: t.Any,
    record_ranks: t.Any,
    background: t.Any,
    burst_count: int,
) -> None:
    """A signal that whoever had locked it has deleted is waited for no longer."""
    model = ranked(form="row", signalbus_burst_count=burst_count)
    record_ranks(model, 3, 2, 1)
    with db.engine.begin() as connection:
        connection.execute(sa.delete(model.__table__).where(model.id == 2))
        flush = background(bus.flushordered)

        assert _waits(flush)

    assert 2 == flush.result()
    assert ["3", "1"] == wire.sent


@pytest.mark.databases("postgresql", "mariadb")
def test_signal_that_is_locked_between_two_tries_is_not_overtaken(
    bus: SignalBus,
    ranked: t.Any,
    wire: t.Any,
    record_ranks: t.Any,
    held: t.Any,
    background: t.Any,
    carried: t.Any,
) -> None:
    """A burst that is sent one by one, after it failed, keeps its order, too."""
    model = ranked(form="row", burst=True, signalbus_burst_count=3)
    record_ranks(model, 3, 2, 1)
    wire.failures["3"] = ValueError("the first try")

    with contextlib.ExitStack() as stack:

        class Locker:
            @hookimpl(wrapper=True)
            def signalbus_send_burst(self, signals: t.Any) -> t.Any:
                if len(signals) == 1 and wire.failures:
                    wire.failures.clear()
                    stack.enter_context(held(model, "2"))
                return (yield)

        bus.plugin_manager.register(Locker())
        first = carried(1)
        flush = background(bus.flushordered)

        assert first.wait(60)
        assert _waits(flush)
        assert ["3"] == wire.sent

    assert 3 == flush.result()
    assert ["3", "2", "1"] == wire.sent


@pytest.mark.databases
@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_a_stopped_run_ends_after_its_burst(
    bus: SignalBus, new_model: t.Any, wire: t.Any, record: t.Any, method: str
) -> None:
    """What was sent until then is deleted and counted; no other model begins."""

    class Stopper:
        @hookimpl
        def signalbus_burst_sent(self) -> None:
            if len(wire.sent) == 4:
                token.stop()

    bus.plugin_manager.register(Stopper())
    for name in ("First", "Second"):
        model = new_model(name, form="row", burst=True, signalbus_burst_count=2)
        record(model, *"abcdef")

    with StopToken().active() as token:
        assert 4 == getattr(bus, method)()

    assert ["a", "b", "c", "d"] == wire.sent
    assert [2, 6] == list(bus.count_pending().values())


@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_a_run_that_may_not_begin_sends_nothing(
    bus: SignalBus, greeting: SignalModel, wire: t.Any, record: t.Any, method: str
) -> None:
    """Told to stop before it began, a run is over before it begins."""
    record(greeting, "a")
    with StopToken().active() as token:
        token.stop()

        assert 0 == getattr(bus, method)()

    assert [] == wire.attempts
