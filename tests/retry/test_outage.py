"""A broker that is down costs no attempts; what it says about one message does."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import socket
import typing as t

import pytest
from signalbus import BrokerUnavailableError
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus

RABBITMQ_URL = os.environ.get(
    "SIGNALBUS_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/"
)

METHODS = ["flush", "flushmany", "flushordered"]
FORMS = ["instance", "row", "burst", "partial", "broker"]

OUTAGES: dict[str, Exception] = {
    "unavailable": BrokerUnavailableError("down"),
    "connection": ConnectionRefusedError("down"),
    "timeout": TimeoutError("down"),
    "name": socket.gaierror(socket.EAI_NONAME, "down"),
    "network": OSError(errno.ENETUNREACH, "down"),
}


@pytest.mark.databases
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("form", "count"), [*zip(FORMS, [1, 10, 1, 10, 1], strict=True)]
)
def test_outage_leaves_no_entry(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    entries: t.Any,
    method: str,
    form: str,
    count: int,
) -> None:
    """By no way of flushing, and by no way of sending."""
    model = new_model(form=form, signalbus_burst_count=count)
    wire.failures = dict.fromkeys("ab", BrokerUnavailableError("down"))
    record(model, "a", "b")
    for _ in range(3):
        with pytest.raises(BrokerUnavailableError):
            getattr(bus, method)()

    assert [] == entries()


@pytest.mark.parametrize("name", OUTAGES)
@pytest.mark.parametrize("form", FORMS)
def test_outages_are_those_of_the_core(
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    run: t.Any,
    entries: t.Any,
    name: str,
    form: str,
) -> None:
    """Whatever stops a model's flush for want of a broker burns nothing."""
    wire.failures["a"] = OUTAGES[name]
    record(new_model(form=form, signalbus_burst_count=10), "a")
    run()

    assert [] == entries()


@pytest.mark.parametrize("form", FORMS)
def test_plugin_may_say_what_an_outage_is(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    run: t.Any,
    entries: t.Any,
    form: str,
) -> None:
    """An error that a plugin knows as an outage burns nothing, either."""

    class Knows:
        @hookimpl
        def signalbus_is_unavailable_error(self, error: BaseException) -> bool | None:
            return isinstance(error, LookupError) or None

    bus.plugin_manager.register(Knows())
    wire.failures["a"] = LookupError("down")
    record(new_model(form=form, signalbus_burst_count=10), "a")
    run()

    assert [] == entries()


@pytest.mark.parametrize(
    "error", [OSError("HTTP 400"), PermissionError("no"), FileNotFoundError("no")]
)
def test_other_errors_of_the_system_are_attempts(
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    run: t.Any,
    attempts: t.Any,
    error: Exception,
) -> None:
    """Not every OSError is an outage."""
    wire.failures["a"] = error
    record(new_model(), "a")
    run()

    assert {1: (1, "waits")} == attempts()


@pytest.mark.databases
@pytest.mark.parametrize("form", FORMS)
def test_outage_leaves_entries_as_they_are(
    new_model: t.Any,
    record: t.Any,
    boom: t.Any,
    wire: t.Any,
    run: t.Any,
    due: t.Any,
    entries: t.Any,
    form: str,
) -> None:
    """A signal that failed before has no more attempts after an outage, and is due."""
    record(new_model(form=form, signalbus_burst_count=10), "bad")
    run()
    due()
    before = entries()
    wire.failures["bad"] = ConnectionRefusedError("down")
    run()
    run()

    assert before == entries()


@pytest.mark.databases
def test_outage_of_an_hour_burns_nothing(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    run: t.Any,
    entries: t.Any,
    clock: t.Any,
) -> None:
    """When the broker is back, all goes out at the first run."""
    texts = [str(number) for number in range(50)]
    wire.failures = dict.fromkeys(texts, ConnectionRefusedError("down"))
    record(new_model(form="partial", signalbus_burst_count=10), *texts)
    for _ in range(120):
        run()
        clock.advance(30)

    assert [] == entries()

    wire.failures.clear()

    assert 50 == bus.flushmany()


def test_autoflush_in_an_outage_burns_nothing(
    db: SQLAlchemy, greeting: t.Any, wire: t.Any, entries: t.Any
) -> None:
    """What a commit could not send is pending as if it had not been tried."""
    wire.failures["a"] = ConnectionRefusedError("down")
    for _ in range(3):
        db.session.add(greeting(text="a"))
        db.session.commit()

    assert [] == entries()


@pytest.mark.databases
@pytest.mark.parametrize("form", ["partial", "broker"])
def test_burst_that_meets_an_outage_counts_what_failed_by_itself(
    new_model: t.Any, record: t.Any, wire: t.Any, run: t.Any, attempts: t.Any, form: str
) -> None:
    """Of a partial delivery, only the signals that the broker refused have entries."""
    wire.failures = {"x": ValueError("refused"), "y": ConnectionResetError("down")}
    record(new_model(form=form, signalbus_burst_count=10), "a", "x", "y")
    run()

    assert ["a"] == wire.sent
    assert {2: (1, "waits")} == attempts()


@pytest.mark.parametrize("form", ["instance", "row", "burst"])
def test_signals_before_an_outage_are_counted(
    new_model: t.Any, record: t.Any, wire: t.Any, run: t.Any, attempts: t.Any, form: str
) -> None:
    """What failed by itself before the broker went away keeps its attempt."""
    wire.failures = {"x": ValueError("refused"), "y": ConnectionResetError("down")}
    record(new_model(form=form, signalbus_burst_count=2), "a", "x", "b", "y")
    run()

    assert {2: (1, "waits")} == attempts()


@pytest.fixture
def broker_url() -> str:
    """Give the URL of the environment's RabbitMQ, or skip the test."""
    pytest.importorskip("signalbus_rabbitmq")
    pika = pytest.importorskip("pika")
    try:
        pika.BlockingConnection(pika.URLParameters(RABBITMQ_URL)).close()
    except pika.exceptions.AMQPError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"No broker: {error!r}")
    return RABBITMQ_URL


@pytest.fixture
def full_queue(broker_url: str) -> t.Iterator[str]:
    """Give the name of a queue that takes no message."""
    pika = pytest.importorskip("pika")
    name = f"signalbus.{secrets.token_hex(6)}"
    connection = pika.BlockingConnection(pika.URLParameters(broker_url))
    channel = connection.channel()
    arguments = {"x-max-length-bytes": 1, "x-overflow": "reject-publish"}
    channel.queue_declare(name, arguments=arguments)
    channel.basic_publish("", name, b"It is full.")
    yield name
    channel.queue_delete(name)
    connection.close()


@pytest.fixture
def app(new_app: t.Any, engine_url: str) -> Flask:
    """Give an app that has a broker."""
    return t.cast("Flask", new_app(engine_url, SIGNALBUS_RABBITMQ_URL=RABBITMQ_URL))


@pytest.mark.usefixtures("broker_url")
def test_message_that_no_queue_takes_is_an_attempt(
    new_model: t.Any, record: t.Any, run: t.Any, failed: t.Any
) -> None:
    """RabbitMQ returns it; the next ones go on."""
    key = f"signalbus.{secrets.token_hex(6)}"
    routed = {"signalbus_exchange": "", "signalbus_routing_key": key}
    record(new_model(form="broker", signalbus_broker="rabbitmq", **routed), "a", "b")
    run()

    assert ["ReturnedError", "ReturnedError"] == [each.error_type for each in failed()]
    assert [1, 1] == [each.attempts for each in failed()]


def test_message_that_is_refused_is_an_attempt(
    new_model: t.Any, record: t.Any, run: t.Any, failed: t.Any, full_queue: str
) -> None:
    """RabbitMQ says no to it, since its queue is full."""
    routed = {"signalbus_exchange": "", "signalbus_routing_key": full_queue}
    record(new_model(form="broker", signalbus_broker="rabbitmq", **routed), "a")
    run()

    assert ["NackedError"] == [each.error_type for each in failed()]


@pytest.fixture
def nobody(app: Flask) -> None:
    """Let the app's broker be where nobody listens."""
    pytest.importorskip("signalbus_rabbitmq")
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    app.config["SIGNALBUS_RABBITMQ_URL"] = f"amqp://127.0.0.1:{port}/"


@pytest.mark.usefixtures("nobody")
def test_broker_that_is_not_there_burns_nothing(
    bus: SignalBus, new_model: t.Any, record: t.Any, entries: t.Any
) -> None:
    """RabbitMQ cannot be reached, and nothing is written."""
    routed = {"signalbus_exchange": "", "signalbus_routing_key": "anywhere"}
    record(new_model(form="broker", signalbus_broker="rabbitmq", **routed), "a")
    with pytest.raises(BrokerUnavailableError):
        bus.flush()

    assert [] == entries()
