"""A broker that hangs costs one commit its timeout, and the others little."""

from __future__ import annotations

import os
import threading
import typing as t

import pytest
from signalbus import BrokerUnavailableError
from signalbus import hookimpl
from signalbus.breakers import CircuitBreakers

if t.TYPE_CHECKING:
    from concurrent.futures import Future

    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

#: How long a commit waits in these tests, unless it is about to be let go, in seconds.
LONG = 60.0

#: How long the others wait at most.
SHORT = 0.5


class HangingBroker:
    """A broker that may be frozen. It waits no longer than it is told."""

    name = "hanging"

    def __init__(self) -> None:
        """Begin with a broker that answers."""
        #: How long each call might take, in their order.
        self.timeouts: list[float | None] = []
        #: The texts that were confirmed.
        self.sent: list[str] = []
        #: Whether calls are answered.
        self.answers = threading.Event()
        self.answers.set()
        #: Counts the calls that came.
        self.calls = threading.Semaphore(0)

    @hookimpl
    def signalbus_send_burst(
        self, model: SignalModel, signals: t.Sequence[Signal], timeout: float | None
    ) -> bool | None:
        """Send when the broker answers."""
        if model.signalbus_broker != self.name:
            return None
        self.timeouts.append(timeout)
        self.calls.release()
        if not self.answers.wait(timeout):
            raise BrokerUnavailableError("It did not answer in time.")
        self.sent += [signal.text for signal in signals]
        return True


@pytest.fixture
def hanging(bus: SignalBus, background: t.Any) -> t.Iterator[HangingBroker]:
    """Give a broker that may be frozen; it answers in the end, for all threads."""
    broker = HangingBroker()
    bus.plugin_manager.register(broker)
    yield broker
    broker.answers.set()


@pytest.fixture
def app(new_app: t.Any, engine_url: str) -> Flask:
    """Give an app whose commits wait for long."""
    return t.cast("Flask", new_app(engine_url, SIGNALBUS_AUTOFLUSH_TIMEOUT=LONG))


@pytest.fixture
def order(new_model: t.Any, hanging: HangingBroker) -> SignalModel:
    """Declare a model of that broker."""
    return t.cast("SignalModel", new_model("Order", form="hanging"))


@pytest.fixture
def commit(db: SQLAlchemy) -> t.Callable[..., None]:
    """Record a signal in a transaction of its own with ``commit(model, text)``."""

    def record_and_commit(model: SignalModel, *texts: str) -> None:
        db.session.add_all([model(text=text) for text in texts])
        db.session.commit()

    return record_and_commit


@pytest.fixture
def waiting(
    hanging: HangingBroker, order: SignalModel, commit: t.Any, background: t.Any
) -> Future[None]:
    """Let a commit wait for the frozen broker, in a thread of its own."""
    hanging.answers.clear()
    future: Future[None] = background(commit, order, "first")
    assert hanging.calls.acquire(timeout=30)
    return future


@pytest.fixture
def stalled(waiting: Future[None], clock: t.Any) -> Future[None]:
    """Let that commit wait for too long."""
    clock.advance(SHORT + 0.1)
    return waiting


postgresql = pytest.mark.databases("postgresql")


def test_a_commit_tells_brokers_how_long_they_may_take(
    hanging: HangingBroker, order: SignalModel, commit: t.Any
) -> None:
    """It waits for them; the app's configuration says how long."""
    commit(order, "a")

    assert [LONG] == hanging.timeouts


def test_a_commit_waits_two_seconds_by_default(
    app: Flask, hanging: HangingBroker, order: SignalModel, commit: t.Any
) -> None:
    """Who sets nothing has a bound, too."""
    del app.config["SIGNALBUS_AUTOFLUSH_TIMEOUT"]
    commit(order, "a")

    assert [2.0] == hanging.timeouts


@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_flushes_leave_it_to_brokers_how_long_they_take(
    bus: SignalBus,
    hanging: HangingBroker,
    order: SignalModel,
    record: t.Any,
    method: str,
) -> None:
    """Nobody's commit waits for an explicit flush."""
    record(order, "a")
    getattr(bus, method)()

    assert [None] == hanging.timeouts


def test_flushkeys_leaves_it_to_brokers_how_long_they_take(
    bus: SignalBus, hanging: HangingBroker, order: SignalModel, record: t.Any
) -> None:
    """So does a plugin that sees to autoflush itself."""
    record(order, "a")
    bus.flushkeys(order, [(1,)])

    assert [None] == hanging.timeouts


@postgresql
@pytest.mark.usefixtures("waiting")
def test_who_comes_while_another_waits_waits_less(
    hanging: HangingBroker, order: SignalModel, commit: t.Any, pending: t.Any
) -> None:
    """A broker that hangs costs all but the first half a second."""
    commit(order, "second")

    assert [LONG, SHORT] == hanging.timeouts
    assert ["first", "second"] == pending(order)


@postgresql
def test_nobody_waits_less_when_the_first_has_its_answer(
    hanging: HangingBroker, waiting: Future[None], order: SignalModel, commit: t.Any
) -> None:
    """A wait that is over says nothing any more."""
    hanging.answers.set()
    waiting.result()
    commit(order, "second")

    assert [LONG, LONG] == hanging.timeouts
    assert ["first", "second"] == hanging.sent


@postgresql
@pytest.mark.usefixtures("stalled")
def test_nobody_joins_who_has_been_waiting_for_too_long(
    hanging: HangingBroker, order: SignalModel, commit: t.Any, pending: t.Any
) -> None:
    """Signals that are committed meanwhile stay pending, and nobody waits."""
    for text in "abc":
        commit(order, text)

    assert [LONG] == hanging.timeouts
    assert ["first", "a", "b", "c"] == pending(order)


@postgresql
def test_what_was_left_is_found_by_a_flush(
    bus: SignalBus,
    hanging: HangingBroker,
    stalled: Future[None],
    order: SignalModel,
    commit: t.Any,
    pending: t.Any,
) -> None:
    """It is pending like any other signal, and sent once."""
    commit(order, "a")
    hanging.answers.set()
    stalled.result()

    assert 1 == bus.flush()
    assert ["first", "a"] == hanging.sent
    assert [] == pending(order)


@postgresql
@pytest.mark.usefixtures("stalled")
def test_flushes_do_not_leave_a_broker_that_keeps_a_commit_waiting(
    bus: SignalBus, hanging: HangingBroker, order: SignalModel, background: t.Any
) -> None:
    """Who asks for a flush gets one; it sends what nobody else is sending."""
    with bus.db.engine.begin() as connection:
        connection.execute(order.__table__.insert(), {"text": "a"})
    flush = background(bus.flushmany)
    assert hanging.calls.acquire(timeout=30)
    hanging.answers.set()

    assert 1 == flush.result()
    assert [LONG, None] == hanging.timeouts


@postgresql
def test_waits_of_flushes_keep_no_commit_waiting(
    bus: SignalBus,
    hanging: HangingBroker,
    order: SignalModel,
    record: t.Any,
    commit: t.Any,
    background: t.Any,
    clock: t.Any,
) -> None:
    """A flush may take its time: that says little of the broker."""
    record(order, "a")
    hanging.answers.clear()
    flush = background(bus.flushmany)
    assert hanging.calls.acquire(timeout=30)
    clock.advance(5)
    later = background(commit, order, "b")
    assert hanging.calls.acquire(timeout=30)
    hanging.answers.set()
    flush.result()
    later.result()

    assert [None, LONG] == hanging.timeouts


@postgresql
@pytest.mark.usefixtures("stalled")
def test_other_brokers_go_on_while_one_hangs(
    new_model: t.Any, new_broker: t.Any, wire: t.Any, commit: t.Any
) -> None:
    """Each broker is waited for by itself, and so is a model that sends itself."""
    fine = new_broker("fine").wire
    commit(new_model("Invoice", form="fine"), "a")
    commit(new_model("Letter"), "b")

    assert (["a"], ["b"]) == (fine.sent, wire.sent)


@pytest.fixture
def letter(new_model: t.Any, background: t.Any) -> t.Iterator[SignalModel]:
    """Declare a model that sends itself, and waits for its event ``answers``."""
    answers, calls = threading.Event(), threading.Semaphore(0)

    def send_signalbus_message(self: t.Any) -> None:
        calls.release()
        answers.wait()

    methods = {"send_signalbus_message": send_signalbus_message}
    yield new_model("Letter", answers=answers, calls=calls, **methods)
    answers.set()


@postgresql
def test_models_that_send_themselves_are_left_when_they_hang(
    letter: t.Any,
    commit: t.Any,
    pending: t.Any,
    background: t.Any,
    clock: t.Any,
) -> None:
    """The bus cannot limit the first wait, but it spares the others."""
    background(commit, letter, "a")
    assert letter.calls.acquire(timeout=30)
    clock.advance(SHORT + 0.1)
    commit(letter, "b")

    assert not letter.calls.acquire(blocking=False)
    assert ["a", "b"] == pending(letter)


@postgresql
def test_a_thread_that_hangs_for_ever_keeps_others_waiting_for_a_while_only(
    letter: t.Any, commit: t.Any, background: t.Any, clock: t.Any, pending: t.Any
) -> None:
    """One lost connection must not end all autoflushes of a model."""
    background(commit, letter, "a")
    assert letter.calls.acquire(timeout=30)
    clock.advance(31)
    later = background(commit, letter, "b")
    assert letter.calls.acquire(timeout=30)
    letter.answers.set()
    later.result()

    assert "b" not in pending(letter)


def _lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records]


STALLED = (
    "The broker 'hanging' keeps a commit waiting. Until it answers, other commits do"
    " not wait for it, and leave their signals pending (first: Order(id=2))."
)


@postgresql
@pytest.mark.usefixtures("stalled")
def test_the_log_tells_once_that_signals_are_left(
    order: SignalModel,
    commit: t.Any,
    clock: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """There is one line, however many commits there are."""
    for text in "abcdefgh":
        commit(order, text)
        clock.advance(1)

    assert [STALLED] == _lines(caplog)


@postgresql
def test_the_log_tells_again_after_a_quiet_time(
    hanging: HangingBroker,
    stalled: Future[None],
    order: SignalModel,
    commit: t.Any,
    background: t.Any,
    clock: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A broker that hangs again is news, if it did not do so all the time."""
    commit(order, "a")
    hanging.answers.set()
    stalled.result()
    clock.advance(61)
    hanging.answers.clear()
    background(commit, order, "b")
    assert hanging.calls.acquire(timeout=30)
    clock.advance(SHORT + 0.1)
    commit(order, "c")

    assert 2 == len([line for line in _lines(caplog) if "keeps a commit wait" in line])


def test_a_probe_waits_less(
    bus: SignalBus,
    hanging: HangingBroker,
    order: SignalModel,
    commit: t.Any,
    clock: t.Any,
) -> None:
    """A broker that was down a moment ago is probably still down."""
    bus.breakers.record_failure("hanging")
    clock.advance(1)
    commit(order, "a")
    commit(order, "b")

    assert [SHORT, LONG] == hanging.timeouts


def test_a_broker_that_takes_long_to_connect_to_is_found_to_be_back(
    bus: SignalBus,
    hanging: HangingBroker,
    order: SignalModel,
    commit: t.Any,
    clock: t.Any,
) -> None:
    """Probes are seldom when a broker was down for long, and may take longer then."""
    for _ in range(10):
        bus.breakers.record_failure("hanging")
    clock.advance(31)
    commit(order, "a")

    assert [3.0] == hanging.timeouts


@pytest.mark.parametrize("attempts", [1, 8])
def test_attempts_that_fail_together_open_the_breaker_once(
    bus: SignalBus, clock: t.Any, attempts: int
) -> None:
    """When a broker hangs, all that wait for it fail, which is one failure."""
    clock.advance(2)
    for _ in range(attempts):
        bus.breakers.record_failure("hanging", seconds=2)

    assert bus.breakers.open()["hanging"] <= 0.5


def test_breakers_of_many_processes_do_not_end_together(clock: t.Any) -> None:
    """Each has a time of its own, which is no longer than what is documented."""
    left = set()
    for _ in range(20):
        breakers = CircuitBreakers()
        for _ in range(10):
            breakers.record_failure("hanging")
        left.add(round(breakers.open()["hanging"], 2))

    assert len(left) > 1
    assert 23 < min(left) <= max(left) <= 30


@pytest.mark.skipif(not hasattr(os, "fork"), reason="There are no forks.")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@postgresql
@pytest.mark.usefixtures("stalled")
def test_a_fork_does_not_wait_with_its_parent(
    db: SQLAlchemy, hanging: HangingBroker, order: SignalModel, commit: t.Any
) -> None:
    """The thread that waits is the parent's: the child tries the broker by itself."""
    child = os.fork()
    if child == 0:
        try:
            hanging.answers = threading.Event()
            hanging.answers.set()
            db.engine.dispose(close=False)
            commit(order, "child")
        finally:
            os._exit([LONG, LONG] != hanging.timeouts)
    _, status = os.waitpid(child, 0)

    assert 0 == status
