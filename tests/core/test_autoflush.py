"""Autoflush sends what a transaction recorded, and never fails its commit."""

from __future__ import annotations

import asyncio
import logging
import typing as t

import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from signalbus import BrokerUnavailableError
from signalbus import PartialDeliveryError
from signalbus import SignalBus
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus.typing import SignalModel


@pytest.fixture
def commit(db: SQLAlchemy) -> t.Callable[..., None]:
    """Record signals in a transaction of their own with ``commit(model, *texts)``."""

    def record_and_commit(model: SignalModel, *texts: str) -> None:
        db.session.add_all([model(text=text) for text in texts])
        db.session.commit()

    return record_and_commit


def test_autoflush_is_the_default(bus: SignalBus) -> None:
    """A bus flushes automatically if nobody says otherwise."""
    assert bus.autoflush is True


def test_switched_off_for_the_bus(
    bus: SignalBus, greeting: SignalModel, commit: t.Any, wire: t.Any, pending: t.Any
) -> None:
    """Without autoflush, signals are recorded and stay."""
    bus.autoflush = False
    commit(greeting, "a")

    assert [] == wire.attempts
    assert ["a"] == pending(greeting)


def test_switched_on_again(
    bus: SignalBus, greeting: SignalModel, commit: t.Any, wire: t.Any
) -> None:
    """Autoflush may be switched off and on at any time."""
    bus.autoflush = False
    bus.autoflush = True
    commit(greeting, "a")

    assert ["a"] == wire.sent


@pytest.fixture
def no_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load no plugin that is told of every commit."""
    monkeypatch.setenv("SIGNALBUS_DISABLED_PLUGINS", "otel, relay, retry")


@pytest.mark.parametrize("values", [(False, True), (True, False)])
def test_what_counts_is_the_value_at_the_commit(
    no_plugins: None,
    db: SQLAlchemy,
    bus: SignalBus,
    greeting: SignalModel,
    wire: t.Any,
    values: tuple[bool, bool],
) -> None:
    """Autoflush may be switched after a signal was written, and before the commit."""
    bus.autoflush, at_commit = values
    db.session.add(greeting(text="a"))
    db.session.flush()
    bus.autoflush = at_commit
    db.session.commit()

    assert (["a"] if at_commit else []) == wire.sent


@pytest.mark.parametrize("setting", [True, False])
def test_switched_by_the_configuration(
    new_app: t.Any, engine_url: str, setting: bool
) -> None:
    """The application's configuration says what the bus begins with."""
    bus = SignalBus(SQLAlchemy(new_app(engine_url, SIGNALBUS_AUTOFLUSH=setting)))

    assert setting is bus.autoflush


def test_configuration_may_be_overruled(new_app: t.Any, engine_url: str) -> None:
    """What the program sets on the bus beats the configuration."""
    bus = SignalBus(SQLAlchemy(new_app(engine_url, SIGNALBUS_AUTOFLUSH=False)))
    bus.autoflush = True

    assert bus.autoflush is True


def test_switched_off_for_a_model(
    db: SQLAlchemy, new_model: t.Any, wire: t.Any, pending: t.Any
) -> None:
    """A model that is not flushed automatically does not hold up the others."""
    manual = new_model("Manual", signalbus_autoflush=False)
    automatic = new_model("Automatic")
    db.session.add_all([manual(text="m"), automatic(text="a")])
    db.session.commit()

    assert ["a"] == wire.sent
    assert ["m"] == pending(manual)


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
def test_older_signals_are_left(
    new_model: t.Any,
    record: t.Any,
    commit: t.Any,
    wire: t.Any,
    pending: t.Any,
    form: str,
) -> None:
    """A commit sends the signals that it recorded itself, not those that wait."""
    model = new_model(form=form)
    record(model, "old")
    commit(model, "new")

    assert ["new"] == wire.sent
    assert ["old"] == pending(model)


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("burst", [True, False])
def test_failure_is_never_raised(
    new_model: t.Any,
    commit: t.Any,
    wire: t.Any,
    pending: t.Any,
    form: str,
    burst: bool,
) -> None:
    """A signal that cannot be sent stays, and the others of that commit go out."""
    model = new_model(form=form, burst=burst, signalbus_burst_count=2)
    wire.failures["bad"] = ValueError("boom")
    commit(model, "a", "bad", "b", "c", "d")

    assert ["bad"] == pending(model)
    assert ["a", "b", "c", "d"] == sorted(wire.sent)


FAILURES = [
    ValueError("boom"),
    BrokerUnavailableError(),
    ConnectionError("reset"),
    PartialDeliveryError({0: ValueError("boom")}),
    sa.exc.OperationalError("SELECT 1", {}, Exception("theirs")),
]


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_failure_is_logged_with_model_and_key(
    db: SQLAlchemy,
    greeting: SignalModel,
    wire: t.Any,
    pending: t.Any,
    error: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever a sender raises is logged with the model and the key of the signal."""
    wire.cut = error
    db.session.add(greeting(id=4711, text="a"))
    db.session.commit()
    complaints = "\n".join(
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING
    )

    assert ["a"] == pending(greeting)
    assert "Greeting" in complaints
    assert "4711" in complaints


def test_failure_does_not_stop_other_models(
    db: SQLAlchemy, new_model: t.Any, new_broker: t.Any, wire: t.Any
) -> None:
    """Other models of the commit go out, whatever becomes of one."""
    new_broker("down").wire.cut = ConnectionError("reset")
    wire.failures["bad"] = ValueError("boom")
    models = [new_model("A"), new_model("B", form="down"), new_model("C")]
    db.session.add_all(
        [
            model(text=text)
            for model, text in zip(models, ["bad", "b", "c"], strict=True)
        ]
    )
    db.session.commit()

    assert ["c"] == wire.sent


def test_model_without_its_broker_is_logged(
    new_model: t.Any, commit: t.Any, pending: t.Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A commit does not fail for want of a broker plugin."""
    model = new_model("Orphan", form="telegraph")
    commit(model, "a")

    assert ["a"] == pending(model)
    assert "telegraph" in caplog.text


def test_lost_database_is_logged(
    db: SQLAlchemy, new_model: t.Any, commit: t.Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Even a database that fails after the commit does not fail the commit."""
    model = new_model(form="row")

    def lose_table(session: object) -> None:
        with db.engine.begin() as connection:
            model.__table__.drop(connection)

    sa.event.listen(db.session(), "after_commit", lose_table, insert=True)
    commit(model, "a")

    assert "Greeting" in caplog.text


@pytest.mark.databases
def test_rows_that_somebody_else_sent_are_not_missed(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A row that is gone before the autoflush finds it is nothing to talk about."""

    def send_elsewhere(session: object) -> None:
        with db.engine.begin() as connection:
            connection.execute(sa.delete(greeting.__table__))

    sa.event.listen(db.session(), "after_commit", send_elsewhere, insert=True)
    signal = greeting(text="a")
    caplog.clear()  # of what mappers of other tests say when all are configured
    db.session.add(signal)
    db.session.commit()

    assert [] == wire.attempts
    assert [] == caplog.records


@pytest.fixture
def broken(new_broker: t.Any) -> t.Any:
    """Give the wire of a broker that cannot be reached."""
    wire = new_broker("broken").wire
    wire.cut = ConnectionError("reset")
    return wire


@pytest.fixture
def order(new_model: t.Any, broken: t.Any) -> SignalModel:
    """Declare a model of the broken broker, which sends large bursts."""
    return new_model("Order", form="broken", signalbus_burst_count=10)


def test_commits_do_not_pay_for_a_broken_broker(
    order: SignalModel, broken: t.Any, commit: t.Any, pending: t.Any, clock: t.Any
) -> None:
    """After a failure, commits leave the broker alone for a while."""
    for text in "abcde":
        commit(order, text)

    assert 1 == len(broken.attempts)
    assert list("abcde") == pending(order)


def test_all_models_of_a_broken_broker_are_left_alone(
    order: SignalModel, broken: t.Any, new_model: t.Any, commit: t.Any, clock: t.Any
) -> None:
    """The pause is the broker's, so it holds for all models that name it."""
    invoice = new_model("Invoice", form="broken")
    commit(order, "a")
    commit(invoice, "b")

    assert 1 == len(broken.attempts)


def test_other_brokers_go_on_meanwhile(
    order: SignalModel, new_broker: t.Any, new_model: t.Any, commit: t.Any, wire: t.Any
) -> None:
    """While a broker is down, other brokers and models that send themselves go on."""
    other = new_broker("fine").wire
    commit(order, "a")
    commit(new_model("Invoice", form="fine"), "b")
    commit(new_model("Letter"), "c")

    assert ["b"] == other.sent
    assert ["c"] == wire.sent


@pytest.mark.parametrize("form", ["instance", "row"])
def test_model_that_sends_itself_is_paused_too(
    new_model: t.Any, wire: t.Any, commit: t.Any, clock: t.Any, form: str
) -> None:
    """A model with a send method of its own is its own broker."""
    model = new_model(form=form)
    wire.cut = ConnectionError("reset")
    for text in "abc":
        commit(model, text)

    assert 1 == len(wire.attempts)


def test_ordinary_failures_pause_nothing(
    greeting: SignalModel, wire: t.Any, commit: t.Any, clock: t.Any
) -> None:
    """A bad signal says nothing about its broker."""
    wire.failures["bad"] = ValueError("boom")
    commit(greeting, "bad")
    commit(greeting, "good")

    assert ["good"] == wire.sent


def test_after_a_while_one_signal_tries(
    order: SignalModel, broken: t.Any, commit: t.Any, pending: t.Any, clock: t.Any
) -> None:
    """When the pause is over, a single signal finds out how the broker is."""
    commit(order, "a")
    clock.advance(31)
    commit(order, "b", "c", "d")

    assert [1, 1] == [len(texts) for texts in broken.attempts]
    assert ["a", "b", "c", "d"] == pending(order)


def test_failed_try_is_a_new_pause(
    order: SignalModel, broken: t.Any, commit: t.Any, clock: t.Any
) -> None:
    """Each failed try begins the next pause."""
    commit(order, "a")
    clock.advance(31)
    commit(order, "b")
    commit(order, "c")
    commit(order, "d")

    assert 2 == len(broken.attempts)


def test_pauses_end_within_half_a_minute(
    order: SignalModel, broken: t.Any, commit: t.Any, clock: t.Any
) -> None:
    """However long the broker is down, it is tried every half minute."""
    for number in range(12):
        commit(order, str(number))
        clock.advance(31)

    assert 12 == len(broken.attempts)


def test_broker_that_is_back_gets_everything(
    order: SignalModel, broken: t.Any, commit: t.Any, pending: t.Any, clock: t.Any
) -> None:
    """A try that succeeds ends the pause, for that commit and all later ones."""
    commit(order, "a")
    clock.advance(31)
    broken.cut = None
    commit(order, "b", "c", "d")
    commit(order, "e", "f")

    assert 1 == len(broken.attempts[1])
    assert ["b", "c", "d", "e", "f"] == sorted(broken.sent)
    assert ["a"] == pending(order)


def test_explicit_flush_does_not_pause(
    bus: SignalBus, order: SignalModel, broken: t.Any, commit: t.Any, clock: t.Any
) -> None:
    """The pause is for commits; who asks for a flush gets one."""
    commit(order, "a", "b")
    broken.cut = None

    assert 2 == bus.flush()
    assert ["a", "b"] == sorted(broken.sent)


def test_hook_may_record_more(
    app: Flask, bus: SignalBus, db: SQLAlchemy, new_model: t.Any, wire: t.Any
) -> None:
    """Who hears that a burst was sent may record signals, flushed in their turn."""
    first, second = new_model("First"), new_model("Second")

    class Follower:
        @hookimpl
        def signalbus_burst_sent(self, model: SignalModel) -> None:
            if model is first:
                with app.app_context():
                    db.session.add(second(text="b"))
                    db.session.commit()

    bus.plugin_manager.register(Follower())
    db.session.add(first(text="a"))
    db.session.commit()

    assert ["a", "b"] == wire.sent


@pytest.mark.databases
@pytest.mark.parametrize("kind", [SystemExit, asyncio.CancelledError])
@pytest.mark.parametrize("form", ["instance", "row"])
def test_sender_that_exits_fails_its_signal_only(
    new_model: t.Any,
    commit: t.Any,
    wire: t.Any,
    pending: t.Any,
    caplog: pytest.LogCaptureFixture,
    kind: type[BaseException],
    form: str,
) -> None:
    """The commit is done: it must not end the process, or the task, that it is in."""
    model = new_model(form=form)
    wire.failures["bad"] = kind("enough")
    commit(model, "a", "bad", "b")

    assert ["a", "b"] == wire.sent
    assert ["bad"] == pending(model)
    assert f"The sender raised {kind.__name__}: enough" in caplog.text


@pytest.mark.databases
def test_interrupt_of_the_user_comes_out(
    db: SQLAlchemy, greeting: SignalModel, commit: t.Any, wire: t.Any, pending: t.Any
) -> None:
    """Ctrl-C while a broker is waited for; the transaction is committed."""
    wire.failures["bad"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        commit(greeting, "bad")
    db.session.rollback()

    assert ["bad"] == pending(greeting)
