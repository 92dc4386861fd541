"""``flush`` sends the signals that were pending when it was called."""

from __future__ import annotations

import threading
import typing as t
from concurrent.futures import TimeoutError as FutureTimeoutError

import pytest
from signalbus import SignalModelError
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel


@pytest.mark.databases
def test_all_pending_signals_are_sent(
    bus: SignalBus, greeting: SignalModel, wire: t.Any, record: t.Any, pending: t.Any
) -> None:
    """A flush sends what is pending, deletes it and returns how many there were."""
    record(greeting, "a", "b", "c")

    assert 3 == bus.flush()
    assert ["a", "b", "c"] == sorted(wire.sent)
    assert [] == pending(greeting)


def test_nothing_pending(bus: SignalBus, greeting: SignalModel, wire: t.Any) -> None:
    """With nothing pending, nothing is sent."""
    assert 0 == bus.flush()
    assert [] == wire.attempts


def test_bus_without_signal_models(bus: SignalBus, app_ctx: object) -> None:
    """An application that has no signal models yet has nothing to send."""
    assert 0 == bus.flush()


def test_only_the_given_models_are_flushed(
    bus: SignalBus, new_model: t.Any, wire: t.Any, record: t.Any
) -> None:
    """Given models, a flush leaves the others alone."""
    first, second = new_model("First"), new_model("Second")
    record(first, "a")
    record(second, "b")

    assert 1 == bus.flush(model for model in [second])
    assert ["b"] == wire.sent


def test_no_models_is_none_of_them(
    bus: SignalBus, greeting: SignalModel, record: t.Any, pending: t.Any
) -> None:
    """An empty choice of models flushes nothing."""
    record(greeting, "a")

    assert 0 == bus.flush([])
    assert ["a"] == pending(greeting)


@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_other_models_are_refused_before_anything_is_sent(
    bus: SignalBus,
    db: SQLAlchemy,
    greeting: SignalModel,
    wire: t.Any,
    record: t.Any,
    method: str,
) -> None:
    """A model that is not a signal model is an error that names it."""

    class Customer(db.Model):
        id = db.Column(db.Integer, primary_key=True)

    record(greeting, "a")
    with pytest.raises(SignalModelError, match="Customer") as caught:
        getattr(bus, method)([greeting, Customer])

    assert isinstance(caught.value, RuntimeError)  # as it was in the older library

    assert [] == wire.attempts


@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_strangers_are_refused(bus: SignalBus, app_ctx: object, method: str) -> None:
    """What is no model at all is refused by its name too."""

    class Stranger:
        def send_signalbus_message(self) -> None:
            """Never be called."""

    with pytest.raises(SignalModelError, match="Stranger"):
        getattr(bus, method)([Stranger])


@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_a_model_given_twice_is_flushed_once(
    bus: SignalBus, greeting: SignalModel, record: t.Any, method: str
) -> None:
    """Giving a model twice is giving it once."""
    record(greeting, "a")

    assert 1 == getattr(bus, method)([greeting, greeting])


def test_signals_recorded_meanwhile_are_left(
    bus: SignalBus, greeting: SignalModel, wire: t.Any, record: t.Any, pending: t.Any
) -> None:
    """A flush does not run after the signals that are recorded while it works."""

    class Recorder:
        @hookimpl
        def signalbus_burst_sent(self, model: SignalModel) -> None:
            if len(wire.sent) < 50:
                record(model, "meanwhile")

    bus.plugin_manager.register(Recorder())
    record(greeting, "a", "b", "c")

    assert 3 == bus.flush()
    assert ["a", "b", "c"] == sorted(wire.sent)
    assert ["meanwhile"] * 3 == pending(greeting)


@pytest.mark.databases("postgresql", "mariadb")
def test_own_uncommitted_signals_are_left(
    bus: SignalBus, db: SQLAlchemy, greeting: SignalModel, wire: t.Any, record: t.Any
) -> None:
    """A flush within a transaction does not send what is not committed yet."""
    record(greeting, "committed")
    db.session.add(greeting(text="not yet"))
    db.session.flush()

    assert 1 == bus.flush()
    assert ["committed"] == wire.sent


def test_flush_works_in_a_thread(
    bus: SignalBus, greeting: SignalModel, record: t.Any, background: t.Any
) -> None:
    """Any thread with an app context may flush."""
    record(greeting, "a")

    assert 1 == background(bus.flush).result()


def test_flush_works_in_a_request(
    app: Flask, bus: SignalBus, greeting: SignalModel, record: t.Any
) -> None:
    """A view may flush."""
    app.add_url_rule("/flush", view_func=lambda: str(bus.flush()))
    record(greeting, "a")

    assert "1" == app.test_client().get("/flush").text


@pytest.fixture
def autoflush_under_way(
    db: SQLAlchemy, new_model: t.Any, background: t.Any
) -> t.Iterator[threading.Event]:
    """Let another thread's autoflush hang in its sender until the event is set."""
    entered, release = threading.Event(), threading.Event()

    def send_signalbus_message(self: t.Any) -> None:
        entered.set()
        release.wait()

    model = new_model("Slow", send_signalbus_message=send_signalbus_message)

    def commit_signal() -> None:
        db.session.add(model(text="slow"))
        db.session.commit()

    future = background(commit_signal)
    future.add_done_callback(lambda _: entered.set())
    entered.wait()
    yield release
    release.set()
    future.result()


@pytest.mark.databases("postgresql", "mariadb")
def test_flush_waits_for_autoflushes_under_way(
    bus: SignalBus, autoflush_under_way: threading.Event, background: t.Any
) -> None:
    """A flush waits for the autoflush of another thread, and sends nothing twice."""
    flush = background(bus.flush, wait=60.0)
    with pytest.raises(FutureTimeoutError):
        flush.result(timeout=0.2)
    autoflush_under_way.set()

    assert 0 == flush.result()


@pytest.mark.databases("postgresql", "mariadb")
def test_flush_need_not_wait(
    bus: SignalBus, autoflush_under_way: threading.Event
) -> None:
    """With no wait, a flush passes the signals that an autoflush is sending."""
    assert 0 == bus.flush(wait=0)
    assert not autoflush_under_way.is_set()


@pytest.mark.databases
def test_pending_signals_are_counted(
    bus: SignalBus, new_model: t.Any, record: t.Any
) -> None:
    """The pending signals of each model can be counted, without sending them."""
    first, second = new_model("First"), new_model("Second")
    record(first, "a", "b")

    assert {first: 2, second: 0} == bus.count_pending()
    assert {second: 0} == bus.count_pending([second])


def test_counting_refuses_other_models(bus: SignalBus, app_ctx: object) -> None:
    """What is no signal model cannot be counted, and is named."""
    with pytest.raises(SignalModelError, match="Event"):
        bus.count_pending([threading.Event])


@pytest.mark.databases
def test_only_the_given_keys_are_sent_in_their_order(
    bus: SignalBus, greeting: SignalModel, wire: t.Any, record: t.Any, pending: t.Any
) -> None:
    """``flushkeys`` sends what has one of the keys; a key without a row is no error."""
    record(greeting, "a", "b", "c")

    assert 2 == bus.flushkeys(greeting, [(3,), (99,), (1,)])
    assert ["c", "a"] == wire.sent
    assert ["b"] == pending(greeting)


def test_keys_of_what_is_no_signal_model(bus: SignalBus, wire: t.Any) -> None:
    """A model that is no signal model is refused by name."""
    with pytest.raises(SignalModelError, match="int is not a signal model"):
        bus.flushkeys(int, [(1,)])
