"""The shop in examples/old_shop, written for Flask-SignalBus 0.5, runs as it is."""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import typing as t
from pathlib import Path

import pika
import pytest
from click.testing import CliRunner
from flask.cli import FlaskGroup

if t.TYPE_CHECKING:
    import subprocess

    from flask import Flask
    from pika.adapters.blocking_connection import BlockingChannel

    Messages: t.TypeAlias = list[tuple[str, dict[str, t.Any]]]

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "examples" / "old_shop"
RABBITMQ_URL = os.environ.get(
    "SIGNALBUS_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/"
)
ADA = {"email": "ada@example.com", "name": "Ada"}


class Shop:
    """The shop, run as its README says, by its commands and its site."""

    def __init__(self, output: Path, engines: t.Any) -> None:
        """Send messages to the file *output*; leave the engines of all apps to close.

        There is an app for the site, and one for each command.
        """
        self.output = output
        self._engines = engines
        self.client = self._create_app().test_client()
        self.flask = FlaskGroup(create_app=self._create_app)

    def run(self, command: str) -> str:
        """Run a command of Flask, and return what it prints."""
        result = CliRunner().invoke(self.flask, shlex.split(command)[1:])
        assert result.exit_code == 0, result.output
        return result.output

    def buy(self, **quantities: int) -> int:
        """Place an order, and return the status of the answer."""
        order = {**ADA, "quantities": quantities}
        return self.client.post("/orders", json=order).status_code

    def messages(self) -> Messages:
        """Return the messages sent since the last call."""
        lines = self.output.read_text().splitlines() if self.output.exists() else []
        self.output.unlink(missing_ok=True)
        pairs = [line.split(" ", 1) for line in lines]
        return [(key, json.loads(body)) for key, body in pairs]

    def keys(self) -> list[str]:
        """Return the routing keys of the messages sent since the last call."""
        return [key for key, _ in self.messages()]

    def _create_app(self) -> Flask:
        from examples.old_shop import create_app

        app = create_app()
        self._engines.add(app)
        return app


@pytest.fixture
def shop(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine_url: str, engines: t.Any
) -> t.Iterator[Shop]:
    """Give a shop that is open."""
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.setenv("FLASK_APP", "examples.old_shop")
    monkeypatch.setenv("SHOP_DATABASE_URI", engine_url)
    monkeypatch.setenv("SHOP_OUTPUT", str(tmp_path / "messages.txt"))
    shop = Shop(tmp_path / "messages.txt", engines)
    assert shop.run("flask shop open") == "3 products\n"
    yield shop
    engines.dispose(patience=5)


@pytest.fixture
def exchange(
    monkeypatch: pytest.MonkeyPatch,
) -> t.Iterator[tuple[BlockingChannel, str]]:
    """Give a channel, and a queue that gets all that the shop publishes."""
    name = f"signalbus_old_shop_{secrets.token_hex(6)}"
    monkeypatch.setenv("SHOP_RABBITMQ_URL", RABBITMQ_URL)
    monkeypatch.setenv("SHOP_EXCHANGE", name)
    with connect().channel() as channel:
        channel.exchange_declare(name, "topic", auto_delete=True)
        channel.queue_declare(name, exclusive=True)
        channel.queue_bind(name, name, "#")
        yield channel, name
        channel.connection.close()


def connect() -> pika.BlockingConnection:
    """Connect to RabbitMQ, or skip the test where there is none."""
    try:
        return pika.BlockingConnection(pika.URLParameters(RABBITMQ_URL))
    except pika.exceptions.AMQPError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(
            f"No RabbitMQ: {error!r}"
        )


def cron_commands() -> list[str]:
    """Return the commands of the shop's crontab."""
    lines = (SHOP / "crontab").read_text().splitlines()
    return [line.split(None, 5)[5] for line in lines if line and line[0] != "#"]


@pytest.mark.databases
def test_a_sale_is_told_to_everybody(shop: Shop) -> None:
    """What has autoflush is sent after the commit, and the rest by the cron jobs."""
    assert shop.buy(tea=2, cake=1) == 201
    assert shop.keys() == ["customer.registered", "order.placed"]

    for command in cron_commands():
        shop.run(command)
    assert shop.keys() == ["stock.changed", "stock.changed", "ledger.entry"]


def test_the_cron_jobs_run_by_themselves(
    shop: Shop, interpreter: t.Callable[..., subprocess.Popen[str]]
) -> None:
    """A process for each of them needs nothing but its environment."""
    shop.buy(milk=1)
    shop.messages()
    for command in cron_commands():
        process = interpreter(
            "from flask.cli import main; main()", *shlex.split(command)[1:]
        )
        process.communicate()
        assert process.returncode == 0

    assert shop.keys() == ["stock.changed", "ledger.entry"]


def test_a_sale_is_told_over_rabbitmq(
    exchange: tuple[BlockingChannel, str], shop: Shop
) -> None:
    """The old publisher sends the old messages, which are confirmed when they go."""
    channel, queue = exchange
    shop.buy(cake=1)
    for command in cron_commands():
        shop.run(command)

    keys = [channel.basic_get(queue, auto_ack=True)[0].routing_key for _ in range(4)]
    assert keys == [
        "customer.registered",
        "order.placed",
        "stock.changed",
        "ledger.entry",
    ]


def test_the_cron_jobs_are_the_old_commands() -> None:
    """The crontab has all three ways of flushing."""
    commands = [re.sub(r"flask signalbus (\w+).*", r"\1", c) for c in cron_commands()]

    assert commands == ["flush", "flushmany", "flushordered"]


def test_a_failed_sale_is_told_to_nobody(shop: Shop) -> None:
    """The signals of a transaction that was rolled back are gone with it."""
    assert shop.buy(milk=1, tea=11) == 409

    shop.run("flask signalbus flush")
    assert shop.messages() == []


def test_messages_have_the_columns(shop: Shop) -> None:
    """Generated schemas dump foreign keys, relationships and decimals."""
    shop.buy(cake=1)
    shop.run("flask signalbus flush")
    messages = dict(shop.messages())

    placed = messages["order.placed"]
    assert placed.pop("at")
    assert placed == {"order_id": 1, "order": 1}
    assert messages["customer.registered"] == {"e-mail": ADA["email"]}
    assert messages["stock.changed"] == {"id": 1, "sku": "cake", "in_stock": 9}
    assert messages["ledger.entry"]["amount"] == "12.00"


def test_the_ledger_is_in_order(shop: Shop) -> None:
    """``flushordered`` sends by ``signalbus_order_by``: large amounts first."""
    for quantities in ({"tea": 1}, {"cake": 1}, {"milk": 1}):
        shop.buy(**quantities)
    shop.messages()
    shop.run("flask signalbus flushordered LedgerEntry")

    amounts = [message["amount"] for _, message in shop.messages()]
    assert amounts == ["12.00", "3.50", "1.20"]


def test_signals_are_gone_once_sent(shop: Shop) -> None:
    """Running the cron jobs again sends nothing again."""
    shop.buy(tea=1)
    for command in cron_commands():
        shop.run(command)
    shop.messages()

    for command in cron_commands():
        shop.run(command)
    assert shop.messages() == []


def test_an_order_is_shown(shop: Shop) -> None:
    """Schemas are there for models that are no signal models, too."""
    shop.buy(tea=1)
    order = shop.client.get("/orders/1").json

    assert order is not None
    assert order["email"] == ADA["email"]
    assert order["lines"] == [{"order_id": 1, "sku": "tea"}]
