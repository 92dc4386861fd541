"""The broker in memory: it sends as real ones do, and fails as it is told."""

from __future__ import annotations

import logging
import threading
import typing as t

import pytest
import sqlalchemy as sa
from signalbus import BrokerTimeoutError
from signalbus import BrokerUnavailableError
from signalbus import MessageRefusedError
from signalbus import SignalBusError
from signalbus import hookimpl
from signalbus.brokers import BrokerPlugin
from signalbus.brokers import Sender
from signalbus.messages import MessageAttribute
from signalbus.stopping import StopToken
from signalbus.testing import MemoryBroker
from signalbus.testing import SentSignal
from signalbus.testing import autoflush

if t.TYPE_CHECKING:
    from concurrent.futures import Future

    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.brokers import WaitLimit
    from signalbus.messages import MessageBatch
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

NewModel: t.TypeAlias = "t.Callable[..., SignalModel]"
Record: t.TypeAlias = "t.Callable[..., None]"


@pytest.fixture
def broker(bus: SignalBus) -> MemoryBroker:
    """Register a broker that replaces all others."""
    broker = MemoryBroker(None)
    bus.plugin_manager.register(broker)
    return broker


@pytest.fixture
def letter(broker: MemoryBroker, new_model: NewModel) -> SignalModel:
    """Declare a model of a broker that is not installed."""
    return new_model("Letter", form="pigeons", signalbus_burst_count=10)


def _texts(broker: MemoryBroker) -> list[str]:
    return [sent.values["text"] for sent in broker.sent]


def test_what_was_sent_equals_what_it_says(
    bus: SignalBus, broker: MemoryBroker, letter: SignalModel, record: Record
) -> None:
    """Signals are compared by model and values, whatever their messages."""
    record(letter, "a")
    bus.flush()

    assert [SentSignal(letter, {"id": 1, "text": "a"})] == broker.sent
    assert [SentSignal(letter, {"id": 2, "text": "a"})] != broker.sent


class Stamp:
    """A plugin that adds a header."""

    @hookimpl
    def signalbus_message_headers(
        self, signals: t.Sequence[Signal]
    ) -> list[dict[str, str]]:
        """Stamp each signal."""
        return [{"stamp": signal.text} for signal in signals]


def test_messages_are_those_of_a_real_broker(
    bus: SignalBus, broker: MemoryBroker, new_model: NewModel, record: Record
) -> None:
    """Id, type, body, headers of model and plugins, and what the model declares."""
    bus.plugin_manager.register(Stamp())
    model = new_model(
        form="pigeons",
        signalbus_headers={"shop": 1},
        signalbus_exchange="mail",
        signalbus_routing_key=lambda signal: f"to.{signal.text}",
        signalbus_retry=None,
    )
    record(model, "a")
    bus.flush()
    (sent,) = broker.sent

    assert ("greeting:1", "Greeting") == (sent.id, sent.type)
    assert "application/json" == sent.content_type
    assert {"id": 1, "text": "a"} == sent.json
    assert b'{"id":1,"text":"a"}' == sent.body.replace(b" ", b"")
    assert {"stamp": "a", "shop": 1} == sent.headers
    assert ("mail", "to.a") == (sent.exchange, sent.routing_key)
    assert {
        "signalbus_exchange": "mail",
        "signalbus_routing_key": "to.a",
    } == sent.attributes


def test_message_that_cannot_be_made_fails(
    bus: SignalBus, broker: MemoryBroker, new_model: NewModel, record: Record
) -> None:
    """A function of the model that raises fails its signal, as with a real broker."""

    def topic(signal: Signal) -> str:
        if signal.text == "b":
            raise LookupError(signal.text)
        return "letters"

    record(new_model("Letter", form="pigeons", signalbus_topic=topic), "a", "b", "c")

    with pytest.raises(LookupError, match="b"):
        bus.flush()
    assert ["a", "c"] == _texts(broker)


class Pigeons(BrokerPlugin):
    """A real broker, which is installed."""

    name = "pigeons"
    attributes = (MessageAttribute("signalbus_loft", "the name of a loft"),)

    def make_sender(self, app: Flask) -> Sender:
        """Give a sender that must not be asked."""
        return Never()


class Never(Sender):
    """A sender that nothing is sent with."""

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Refuse to send anything."""
        raise AssertionError


def test_attributes_of_an_installed_broker_are_checked(
    bus: SignalBus, new_model: NewModel, record: Record
) -> None:
    """A function that returns the wrong type fails as it does in production."""
    bus.plugin_manager.register(Pigeons())
    bus.plugin_manager.register(MemoryBroker(None))
    record(new_model(form="pigeons", signalbus_loft=lambda _: 13), "a")

    with pytest.raises(TypeError, match="must return the name of a loft"):
        bus.flush()


class Flags(Pigeons):
    """A broker whose messages have no bodies."""

    name = "flags"
    has_bodies = False


def test_no_body_is_made_for_a_broker_without_bodies(
    bus: SignalBus, new_model: NewModel, record: Record
) -> None:
    """A signal of which no body can be made is sent, as it is in production."""

    def body(signal: Signal) -> bytes:
        raise LookupError(signal.text)

    bus.plugin_manager.register(Flags())
    bus.plugin_manager.register(broker := MemoryBroker(None))
    model = new_model(form="flags", signalbus_loft="north", signalbus_body=body)

    record(model, "a")
    bus.flush()

    (sent,) = broker.sent
    assert (b"", {"signalbus_loft": "north"}) == (sent.body, sent.attributes)


def test_only_models_of_its_name_are_taken(
    bus: SignalBus, new_model: NewModel, record: Record
) -> None:
    """A broker with a name replaces that one, and leaves others alone."""
    doves, all_others = MemoryBroker("doves"), MemoryBroker(None)
    bus.plugin_manager.register(all_others)
    bus.plugin_manager.register(doves)
    record(new_model("Letter", form="pigeons"), "a")
    record(new_model("Parcel", form="doves"), "b")
    bus.flush()

    assert ["b"] == _texts(doves)
    assert ["a"] == _texts(all_others)


def test_models_with_methods_of_their_own_are_left_alone(
    bus: SignalBus, broker: MemoryBroker, greeting: SignalModel, record: Record
) -> None:
    """They do not go to a broker."""
    record(greeting, "a")

    assert 1 == bus.flush()
    assert [] == broker.sent


def test_signal_without_a_message_says_why() -> None:
    """What a method has sent has values, and nothing else."""
    with pytest.raises(SignalBusError, match="A method of int has sent"):
        _ = SentSignal(int, {}).body


def test_refused_signals_stay(
    bus: SignalBus, broker: MemoryBroker, letter: SignalModel, record: Record
) -> None:
    """The others of the burst are confirmed, and the error is of two kinds."""
    broker.refuse(lambda signal: signal.text == "b")
    record(letter, "a", "b", "c")

    with pytest.raises(MessageRefusedError, match="The broker 'pigeons' refused") as e:
        bus.flush()
    assert isinstance(e.value, ValueError)
    assert ["a", "c"] == _texts(broker)
    broker.recover()
    assert 1 == bus.flush()


@pytest.mark.parametrize("error", [LookupError, LookupError("told to")])
def test_matching_signals_fail_with_the_given_error(
    bus: SignalBus,
    broker: MemoryBroker,
    letter: SignalModel,
    record: Record,
    error: t.Any,
) -> None:
    """It may be a class, or an exception."""
    broker.fail(error, lambda signal: signal.text == "b")
    record(letter, "a", "b")

    with pytest.raises(LookupError, match=r"told to|failed for"):
        bus.flush()
    assert ["a"] == _texts(broker)


def test_broker_that_is_down_takes_nothing(
    bus: SignalBus, broker: MemoryBroker, letter: SignalModel, record: Record
) -> None:
    """It cannot be reached until it recovers."""
    broker.available = False
    record(letter, "a")

    with pytest.raises(BrokerUnavailableError, match="'pigeons' is switched off"):
        bus.flush()
    broker.recover()
    assert 1 == bus.flush()


def test_timeout_comes_at_once(
    bus: SignalBus, broker: MemoryBroker, letter: SignalModel, record: Record
) -> None:
    """Nothing is stored, and nobody waits."""
    broker.time_out()
    record(letter, "a")

    with pytest.raises(BrokerTimeoutError, match="did not answer in time"):
        bus.flush()
    assert [] == broker.sent


def test_lost_confirms_make_duplicates(
    bus: SignalBus, broker: MemoryBroker, letter: SignalModel, record: Record
) -> None:
    """What was stored before a timeout is sent again, with the same id."""
    broker.time_out(stored=True)
    record(letter, "a")
    with pytest.raises(BrokerTimeoutError):
        bus.flush()
    broker.recover()
    bus.flush()

    assert ["letter:1", "letter:1"] == [sent.id for sent in broker.sent]


def test_hanging_broker_answers_when_it_is_released(
    bus: SignalBus,
    broker: MemoryBroker,
    letter: SignalModel,
    record: Record,
    background: t.Callable[..., Future[int]],
) -> None:
    """Who waits goes on as if nothing had happened."""
    broker.hang()
    record(letter, "a")
    sent = background(bus.flush)

    assert broker.wait_for_caller(60)
    assert not sent.done()
    broker.release()
    assert 1 == sent.result()
    assert not broker.wait_for_caller(timeout=0)


@pytest.mark.parametrize("setting", ["timeout", "autoflush_timeout"])
def test_hanging_broker_times_out(
    app: Flask,
    db: SQLAlchemy,
    bus: SignalBus,
    broker: MemoryBroker,
    letter: SignalModel,
    caplog: pytest.LogCaptureFixture,
    setting: str,
) -> None:
    """After its own limit, or after that of an autoflush."""
    app.config["SIGNALBUS_AUTOFLUSH_TIMEOUT"] = 0.1
    broker.timeout = 0.1 if setting == "timeout" else 60.0
    broker.hang()

    with caplog.at_level(logging.WARNING), autoflush(bus, setting != "timeout"):
        db.session.add(letter(text="a"))
        db.session.commit()
        if setting == "timeout":
            with pytest.raises(BrokerTimeoutError):
                bus.flush()
    assert "BrokerTimeoutError" in caplog.text


def test_hanging_broker_lets_go_of_who_is_told_to_stop(
    bus: SignalBus, broker: MemoryBroker, letter: SignalModel, record: Record
) -> None:
    """A process that is told to stop does not wait for it."""
    broker.hang()
    record(letter, "a")
    token = StopToken()
    threading.Thread(target=lambda: broker.wait_for_caller(60) and token.stop()).start()

    with token.active(), pytest.raises(BrokerTimeoutError):
        bus.flush()


def test_hanging_broker_that_goes_down_lets_go_of_who_waits(
    bus: SignalBus,
    broker: MemoryBroker,
    letter: SignalModel,
    record: Record,
    background: t.Callable[..., Future[int]],
) -> None:
    """They find that it is not there."""
    broker.hang()
    record(letter, "a")
    sent = background(bus.flush)
    broker.wait_for_caller(60)
    broker.available = False

    assert isinstance(sent.exception(), BrokerUnavailableError)


def test_what_was_sent_can_be_forgotten(
    bus: SignalBus, broker: MemoryBroker, letter: SignalModel, record: Record
) -> None:
    """The list is empty then."""
    record(letter, "a")
    bus.flush()
    broker.clear()

    assert [] == broker.sent


@pytest.mark.parametrize("configured", [True, False])
def test_autoflush_is_as_before_afterwards(
    app: Flask, bus: SignalBus, configured: bool
) -> None:
    """What the configuration says comes back, and changes with it."""
    app.config["SIGNALBUS_AUTOFLUSH"] = configured
    with autoflush(bus, "background"):
        assert "background" == bus.autoflush
    app.config["SIGNALBUS_AUTOFLUSH"] = not configured

    assert bus.autoflush is not configured


def test_columns_are_no_attributes(
    bus: SignalBus, broker: MemoryBroker, new_model: NewModel, db: SQLAlchemy
) -> None:
    """A column may have such a name, too."""
    model = new_model(form="pigeons", signalbus_note=sa.Column(sa.String(9)))
    db.session.add(model(text="a", signalbus_note="b"))
    db.session.commit()

    assert {} == broker.sent[0].attributes
