"""`flask signalbus rabbitmq declare` creates what models and a consumer need."""

from __future__ import annotations

import secrets
import typing as t

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus_rabbitmq import Consumer
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

signalbus_cli = pytest.importorskip("signalbus_cli")

if t.TYPE_CHECKING:
    from click.testing import Result
    from conftest import Broker
    from signalbus_rabbitmq import Message
    from signalbus_rabbitmq import Publisher

Declare: t.TypeAlias = "t.Callable[..., Result]"


@pytest.fixture
def name(broker: Broker) -> t.Iterator[str]:
    """Give a name for exchanges and queues that do not exist yet."""
    name = f"signalbus.{secrets.token_hex(6)}"
    yield name
    with broker.channel() as channel:
        for suffix in ("", ".dead", ".other"):
            channel.queue_delete(name + suffix)
            channel.exchange_delete(name + suffix)


@pytest.fixture
def declare(broker: Broker) -> Declare:
    """Run the command with ``declare(*options, exchange=…, key=…)`` for one model."""

    def run(*options: str, exchange: str = "", key: str = "", **config: str) -> Result:
        app = Flask("shop")
        app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
        app.config["SIGNALBUS_RABBITMQ_URL"] = broker.url
        app.config.update(config)
        db = SQLAlchemy(app)
        SignalBus(db)

        if exchange or key:

            class Paid(db.Model):  # type: ignore[name-defined,misc]
                id: Mapped[int] = mapped_column(primary_key=True)
                signalbus_broker = "rabbitmq"
                signalbus_exchange = exchange
                signalbus_routing_key = key

        command = ["rabbitmq", "declare", *options]
        return app.test_cli_runner().invoke(signalbus_cli.signalbus, command)

    return run


def test_it_creates_what_models_and_consumer_need(
    declare: Declare,
    name: str,
    broker: Broker,
    publisher: Publisher,
    messages_to: t.Callable[..., list[Message]],
) -> None:
    """A message to the exchange is in the queue, and a rejected one is kept."""
    declared = declare("--queue", name, "--bind", f"{name}:paid.*", exchange=name)
    (message,) = messages_to("paid.de", 1)
    publisher.publish_messages([message._replace(exchange=name)])

    class Rejecting(Consumer):
        def process_message(self, body: bytes, properties: t.Any) -> bool:
            return False

    Rejecting(Flask("shop"), url=broker.url, queue=name, draining_mode=True).start()

    assert 0 == declared.exit_code
    assert [
        f"exchange '{name}': ok",
        f"queue '{name}.dead': ok",
        f"queue '{name}': ok",
        f"binding of queue '{name}' to exchange '{name}', key 'paid.*': ok",
    ] == declared.output.splitlines()
    assert [] == broker.bodies(name)
    assert [b"0"] == _wait_for_bodies(broker, f"{name}.dead")


def test_all_is_durable_and_the_queues_are_quorum_queues(
    declare: Declare, name: str, broker: Broker
) -> None:
    """To declare the same again by hand is no contradiction."""
    declare("--queue", name, exchange=name)

    with broker.channel() as channel:
        channel.exchange_declare(name, "topic", durable=True)
        channel.queue_declare(
            f"{name}.dead", durable=True, arguments={"x-queue-type": "quorum"}
        )
        channel.queue_declare(
            name,
            durable=True,
            arguments={
                "x-queue-type": "quorum",
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": f"{name}.dead",
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )


def test_it_says_that_no_model_names_rabbitmq(declare: Declare, name: str) -> None:
    """What the models need is then not among what it declares."""
    declared = declare("--queue", name)

    assert 0 == declared.exit_code
    first, *_ = declared.output.splitlines()
    assert "No signal model names the broker 'rabbitmq'." == first


def test_it_can_be_repeated(declare: Declare, name: str) -> None:
    """It changes nothing that is there already."""
    options = "--queue", name, "--bind", f"{name}:#"

    assert [0, 0] == [declare(*options, exchange=name).exit_code for _ in range(2)]


def test_without_an_option_the_queue_is_the_configured_one(
    declare: Declare, name: str, broker: Broker
) -> None:
    """The consumer reads the same setting."""
    declared = declare(SIGNALBUS_RABBITMQ_QUEUE=name)

    assert 0 == declared.exit_code
    assert [] == broker.bodies(name)


def test_a_model_of_the_default_exchange_gets_its_queue(
    declare: Declare, name: str, broker: Broker
) -> None:
    """Its routing key names it; it is declared once, if the consumer has the same."""
    declared = declare(key=name, SIGNALBUS_RABBITMQ_QUEUE=name)

    assert 0 == declared.exit_code
    assert 1 == declared.output.count(f"queue '{name}': ok")


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        (["--classic", "--no-dead-letters"], {"x-queue-type": "classic"}),
        (["--no-dead-letters"], {"x-queue-type": "quorum"}),
        (
            ["--classic"],
            {
                "x-queue-type": "classic",
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": "{name}.dead",
            },
        ),
    ],
)
def test_queues_may_be_of_another_kind(
    declare: Declare,
    name: str,
    broker: Broker,
    options: list[str],
    arguments: dict[str, str],
) -> None:
    """Classic queues, or none for dead letters, if one wants that."""
    assert 0 == declare("--queue", name, *options).exit_code

    expected = {key: value.format(name=name) for key, value in arguments.items()}
    with broker.channel() as channel:
        channel.queue_declare(name, durable=True, arguments=expected)


@pytest.mark.parametrize("option", ["fanout", "{name}=fanout"])
def test_an_exchange_has_the_type_that_one_chooses(
    declare: Declare, name: str, broker: Broker, option: str
) -> None:
    """For all exchanges, or for the one that is named."""
    declared = declare("--exchange-type", option.format(name=name), exchange=name)

    assert 0 == declared.exit_code
    with broker.channel() as channel:
        channel.exchange_declare(name, "fanout", durable=True)


def test_a_queue_of_another_kind_is_one_clear_line(
    declare: Declare, name: str, broker: Broker
) -> None:
    """It is left as it is; the rest is declared all the same, and the status is 1."""
    with broker.channel() as channel:
        channel.queue_declare(name, durable=True)

    declared = declare("--queue", name, "--bind", "amq.topic:x", exchange=name)

    assert 1 == declared.exit_code
    (line,) = declared.stderr.splitlines()
    assert f"queue '{name}': it exists with other properties: (406) PRE" in line
    assert "--classic" in line
    assert f"exchange '{name}': ok" in declared.output
    assert "key 'x': ok" in declared.output


def test_an_exchange_of_another_kind_is_one_clear_line(
    declare: Declare, name: str, broker: Broker
) -> None:
    """Its type may be what differs, and can be said."""
    with broker.channel() as channel:
        channel.exchange_declare(name, "direct", durable=True)

    declared = declare(exchange=name)

    assert 1 == declared.exit_code
    (line,) = declared.stderr.splitlines()
    assert f"exchange '{name}': it exists with other properties: (406) PRE" in line
    assert "--exchange-type" in line


def test_an_exchange_of_others_is_taken_as_it_is(
    declare: Declare, name: str, broker: Broker
) -> None:
    """Who listens does not decide how others send; but a missing exchange is made."""
    with broker.channel() as channel:
        channel.exchange_declare(name, "direct")
    binds = "--bind", f"{name}:a", "--bind", f"{name}.other:b:c"

    declared = declare("--queue", name, *binds)

    assert 0 == declared.exit_code
    assert f"exchange '{name}.other': ok" in declared.output
    assert f"exchange '{name}': ok" not in declared.output
    assert "key 'b:c': ok" in declared.output


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "No signal model names the broker 'rabbitmq'. There is nothing"),
        (["--bind", "shop:#"], "--bind needs --queue"),
        (["--queue", "q", "--bind", "shop"], "not of the form EXCHANGE:KEY"),
        (["--queue", "q", "--exchange-type", "tropic"], "'tropic' is not one of"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    declare: Declare, options: list[str], complaint: str
) -> None:
    """A usage error, before anything is declared."""
    refused = declare(*options)

    assert 2 == refused.exit_code
    assert complaint in refused.stderr


def test_a_consumers_app_needs_no_bus(broker: Broker, name: str) -> None:
    """Who only consumes has no models, and no database."""
    app = Flask("inbox")
    app.config["SIGNALBUS_RABBITMQ_URL"] = broker.url
    app.config["SIGNALBUS_RABBITMQ_QUEUE"] = name

    results = [
        app.test_cli_runner().invoke(signalbus_cli.signalbus, ["rabbitmq", command])
        for command in ("declare", "check")
    ]

    assert [0, 0] == [result.exit_code for result in results]


def _wait_for_bodies(broker: Broker, queue: str) -> list[bytes]:
    """Take the first message that comes to *queue*."""
    with broker.channel() as channel:
        for method, _, body in channel.consume(queue, inactivity_timeout=30):
            if method:
                channel.basic_ack(method.delivery_tag)
            channel.cancel()
            return [body]
    return []
