"""`flask signalbus rabbitmq`: consume for ever, and check the way to the broker."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus_rabbitmq import TerminatedConsumption
from signalbus_rabbitmq._runner import Runner
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

signalbus_cli = pytest.importorskip("signalbus_cli")

if t.TYPE_CHECKING:
    from click.testing import Result
    from conftest import Broker
    from conftest import Node
    from conftest import Proxy
    from signalbus_rabbitmq import Consumer
    from signalbus_rabbitmq import Message
    from signalbus_rabbitmq import Publisher

COMMAND = ["rabbitmq", "check"]

SHOP = Path(__file__).with_name("shop.py")

Start: t.TypeAlias = "t.Callable[..., subprocess.Popen[str]]"
Fill: t.TypeAlias = "t.Callable[[int], None]"


@pytest.fixture
def consume(
    queue: str, broker: Broker, tmp_path: Path
) -> t.Iterator[t.Callable[..., subprocess.Popen[str]]]:
    """Start the command with ``consume(*arguments, url=...)``."""
    processes = []

    def start(*arguments: str, url: str = broker.url) -> subprocess.Popen[str]:
        command = ["flask", "--app", str(SHOP), "signalbus", "rabbitmq", "consume"]
        process = subprocess.Popen(  # noqa: S603 our own program
            [sys.executable, "-m", *command, *arguments],
            env=os.environ
            | {
                "SIGNALBUS_RABBITMQ_URL": url,
                "SIGNALBUS_RABBITMQ_QUEUE": queue,
                "PYTHONPATH": str(SHOP.parent),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        with process:
            process.kill()


@pytest.fixture
def fill(
    publisher: Publisher, queue: str, messages_to: t.Callable[..., list[Message]]
) -> Fill:
    """Put so many messages into the queue."""
    return lambda count: publisher.publish_messages(messages_to(queue, count))


@pytest.fixture
def check(broker_url: str) -> t.Callable[..., Result]:
    """Run the command with ``check(*options, url=…, exchange=…, key=…)``: one model."""

    def run(
        *options: str,
        url: str = broker_url,
        exchange: str = "",
        key: str = "",
        **config: str,
    ) -> Result:
        app = Flask("shop")
        app.config.update(config)
        app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
        app.config["SIGNALBUS_RABBITMQ_URL"] = url
        db = SQLAlchemy(app)
        SignalBus(db)

        class Paid(db.Model):  # type: ignore[name-defined,misc]
            id: Mapped[int] = mapped_column(primary_key=True)
            signalbus_broker = "rabbitmq"
            signalbus_exchange = exchange
            signalbus_routing_key = key

        return app.test_cli_runner().invoke(
            signalbus_cli.signalbus, [*COMMAND, *options]
        )

    return run


def test_a_consumer_is_found_by_its_class(consume: Start, fill: Fill) -> None:
    """It gets the app and processes what is there; `--drain` ends it then."""
    fill(30)

    out, _ = (process := consume("shop:Reader", "--drain")).communicate()

    assert 0 == process.returncode
    assert {str(number) for number in range(30)} == set(out.split())


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(
    consume: Start, fill: Fill, signum: signal.Signals
) -> None:
    """It consumes until told to stop; then its status is 0."""
    fill(1)
    process = consume("shop:Reader")
    assert process.stdout
    assert "0\n" == process.stdout.readline()

    process.send_signal(signum)
    _, err = process.communicate()

    assert (0, "") == (process.returncode, err)


def test_it_connects_again_when_the_connection_is_lost(
    consume: Start, fill: Fill, proxy: Proxy
) -> None:
    """It says what happened and when it tries again; then it goes on."""
    fill(1)
    process = consume("shop:Reader", url=proxy.url)
    assert process.stdout
    assert "0\n" == process.stdout.readline()
    proxy.cut()
    fill(1)
    assert "0\n" == process.stdout.readline()

    process.terminate()
    _, err = process.communicate()

    assert 0 == process.returncode
    assert proxy.address in err
    assert re.search(r"next try is in \d\.\d seconds", err)


def test_it_can_be_stopped_while_it_waits(consume: Start, free_port: int) -> None:
    """A broker that cannot be reached keeps nobody from stopping it."""
    process = consume("shop:Reader", url=f"amqp://guest:secret@127.0.0.1:{free_port}/")
    assert process.stderr
    while "next try" not in (line := process.stderr.readline()):
        pass
    assert str(free_port) in line
    assert "secret" not in line

    process.terminate()

    assert 0 == process.wait()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (signal.SIGINT, signal.SIGINT),
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGTERM, signal.SIGINT),
    ],
)
def test_a_second_signal_ends_it_at_once(
    consume: Start,
    fill: Fill,
    broker: Broker,
    queue: str,
    first: signal.Signals,
    second: signal.Signals,
) -> None:
    """Even a worker that hangs does not hold it; its message is back in the queue."""
    fill(1)
    process = consume("shop:Hangs")
    assert process.stdout
    assert "0\n" == process.stdout.readline()
    process.send_signal(first)
    assert "stopping\n" == process.stdout.readline()

    process.send_signal(second)

    assert -second == process.wait(30)
    assert [b"0"] == broker.bodies(queue, at_least=1)


def test_a_missing_queue_is_told_once(
    consume: Start, broker: Broker, queue: str
) -> None:
    """It waits for the queue, says once what to do, and when it goes on."""
    with broker.channel() as channel:
        channel.queue_delete(queue)
    process = consume("shop:Patient")
    assert process.stderr
    first = process.stderr.readline()
    second = process.stderr.readline()

    process.terminate()
    _, rest = process.communicate()

    assert f"no queue '{queue}'" in first
    assert f"`flask signalbus rabbitmq declare --queue {queue}`" in first
    assert f"Consuming '{queue}' from RabbitMQ at" in second
    assert second.endswith("again.\n")
    assert (0, "") == (process.returncode, rest)


def test_draining_a_missing_queue_fails(
    consume: Start, broker: Broker, queue: str
) -> None:
    """The status is 1, and one line says why and what to do."""
    with broker.channel() as channel:
        channel.queue_delete(queue)

    _, err = (process := consume("shop:Reader", "--drain")).communicate()

    assert 1 == process.returncode
    (line,) = err.splitlines()
    assert f"no queue '{queue}'" in line
    assert f"`flask signalbus rabbitmq declare --queue {queue}`" in line


def test_draining_an_unreachable_broker_fails(consume: Start, free_port: int) -> None:
    """The first failure ends it with status 1: one line says why."""
    process = consume(
        "shop:Reader", "--drain", url=f"amqp://guest:secret@127.0.0.1:{free_port}/"
    )

    _, err = process.communicate(timeout=60)

    assert 1 == process.returncode
    (line,) = err.splitlines()
    assert line.startswith("Error: ")
    assert f"127.0.0.1:{free_port}: the connection was refused" in line


def test_draining_ends_when_the_connection_is_lost(
    fill: Fill,
    queue: str,
    proxy: Proxy,
    broker: Broker,
    consumer_of: t.Callable[..., Consumer],
) -> None:
    """It does not connect again; what was not acknowledged is in the queue."""
    fill(1)
    consumer = consumer_of(
        queue, lambda body: proxy.cut() is None, url=proxy.url, draining_mode=True
    )

    with pytest.raises(TerminatedConsumption, match=proxy.address):
        Runner(consumer).run()

    assert 1 == proxy.accepted
    assert [b"0"] == broker.bodies(queue, at_least=1)


def test_draining_fails_if_messages_were_rejected_for_failing(
    consume: Start,
    fill: Fill,
    broker: Broker,
    queue: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A line for each of them, the traceback with the first, and status 1."""
    monkeypatch.setenv("SIGNALBUS_RABBITMQ_MAX_ATTEMPTS", "1")
    fill(3)

    _, err = (process := consume("shop:Fails", "--drain")).communicate()

    assert 1 == process.returncode
    assert 1 == err.count("Traceback")
    assert 3 == err.count("failed 1 time: it is rejected")
    assert "3 of its messages could not be processed" in err.splitlines()[-1]
    assert [] == broker.bodies(queue)


def test_draining_fails_if_messages_do(
    consume: Start,
    fill: Fill,
    broker: Broker,
    queue: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What could not be processed is back in the queue, and the status is 1."""
    monkeypatch.setenv("SIGNALBUS_RABBITMQ_RETRY_FIRST_DELAY", "0.01")
    fill(3)

    _, err = (process := consume("shop:Fails", "--drain")).communicate()

    assert 1 == process.returncode
    assert "3 of its messages could not be processed" in err.splitlines()[-1]
    assert {b"0", b"1", b"2"} == set(broker.bodies(queue))


@pytest.mark.parametrize(
    ("where", "complaint"),
    [
        ("shop", "not of the form MODULE:CONSUMER"),
        ("no.such.module:Reader", "cannot be imported"),
        ("shop:NoReader", "cannot be imported"),
        ("shop:app", "is not a signalbus_rabbitmq.Consumer"),
        ("shop:Paid", "is not a signalbus_rabbitmq.Consumer"),
        ("shop:Unfinished", "Unfinished has no process_message()"),
        ("signalbus_rabbitmq:Consumer", "Consumer has no process_message()"),
    ],
)
def test_what_is_no_consumer_is_refused(
    consume: Start, where: str, complaint: str
) -> None:
    """A wrong argument is a usage error that says what is wrong."""
    _, err = (process := consume(where)).communicate()

    assert 2 == process.returncode
    assert complaint in err


def test_a_check_passes_where_all_is_there(
    check: t.Callable[..., Result], broker: Broker, queue: str
) -> None:
    """It names the broker and every model's exchange, or queue."""
    exchange = broker.exchange("direct", queue)

    passed = [check(exchange=exchange), check(key=queue)]

    assert [0, 0] == [each.exit_code for each in passed]
    assert f"Paid: exchange '{exchange}': ok" in passed[0].output
    assert f"Paid: queue '{queue}': ok" in passed[1].output


@pytest.mark.parametrize(
    ("exchange", "key", "missing"),
    [("no.such", "", "exchange 'no.such'"), ("", "no.such", "queue 'no.such'")],
)
def test_a_check_fails_where_something_is_missing(
    check: t.Callable[..., Result], exchange: str, key: str, missing: str
) -> None:
    """Its status is 1, and what is missing is on stderr."""
    failed = check(exchange=exchange, key=key)

    assert 1 == failed.exit_code
    assert f"Paid: {missing}: (404) NOT_FOUND" in failed.stderr
    assert "`flask signalbus rabbitmq declare`" in failed.stderr


def test_a_check_tells_of_the_consumers_queue(
    check: t.Callable[..., Result], queue: str, fill: Fill
) -> None:
    """It must be there if it is configured; how full it is is told."""
    fill(2)

    there = check(key=queue, SIGNALBUS_RABBITMQ_QUEUE=queue)
    missing = check(key=queue, SIGNALBUS_RABBITMQ_QUEUE="no.such")

    assert (0, 1) == (there.exit_code, missing.exit_code)
    expected = f"The consumer's queue '{queue}': ok (messages: 2, consumers: 0)"
    assert expected in there.output
    assert "The consumer's queue 'no.such': (404) NOT_FOUND" in missing.stderr
    assert "`flask signalbus rabbitmq declare --queue no.such`" in missing.stderr


def test_a_check_says_what_it_cannot_see(
    check: t.Callable[..., Result], broker: Broker, queue: str
) -> None:
    """AMQP does not tell bindings; nobody is to believe that they were looked at."""
    assert "Bindings: not checked" in check(exchange="amq.topic").output
    assert "Bindings" not in check(key=queue).output


def test_a_check_finds_exchanges_that_nothing_is_bound_to(
    check: t.Callable[..., Result], managed_node: Node
) -> None:
    """The management API knows; an alternate exchange, also of a policy, will do."""
    bound = managed_node.exchange("direct", queue := managed_node.queue())
    loose = managed_node.exchange("direct", queue)
    with managed_node.channel() as channel:
        channel.queue_unbind(queue, loose)
    options = "--management", managed_node.management_url

    def run(exchange: str) -> Result:
        return check(*options, url=managed_node.url, exchange=exchange)

    good, bad = run(bound), run(loose)
    policy = json.dumps({"alternate-exchange": "amq.fanout"})
    managed_node.control("set_policy", "net", f"^{re.escape(loose)}$", policy)
    caught = run(loose)
    managed_node.control("clear_policy", "net")

    assert [0, 1, 0] == [each.exit_code for each in (good, bad, caught)]
    assert f"Paid: exchange '{bound}': ok\n" in good.output
    assert f"Paid: exchange '{loose}': nothing is bound to it" in bad.stderr
    assert f"declare --queue NAME --bind {loose}:KEY`" in bad.stderr


def test_a_check_says_why_the_management_api_does_not_help(
    check: t.Callable[..., Result],
    broker: Broker,
    free_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line with host and port and the reason; the status is 1."""
    url = f"http://guest:secret@127.0.0.1:{free_port}"
    monkeypatch.setenv("SIGNALBUS_RABBITMQ_MANAGEMENT_URL", url)
    missing = check(exchange="amq.topic")
    malformed = check("--management", "localhost:15672", exchange="amq.topic")

    assert [1, 1] == [missing.exit_code, malformed.exit_code]
    assert f"The management API at 127.0.0.1:{free_port}: " in missing.stderr
    assert "`rabbitmq-plugins enable rabbitmq_management`" in missing.stderr
    assert "secret" not in missing.output
    assert "is not an HTTP URL" in malformed.stderr


def test_the_arguments_of_a_check_have_no_password(
    check: t.Callable[..., Result], broker: Broker
) -> None:
    """All users of the machine can see them; an environment variable is for it."""
    refused = check("--management", "http://a:secret@host", exchange="amq.topic")

    assert 2 == refused.exit_code
    assert "SIGNALBUS_RABBITMQ_MANAGEMENT_URL" in refused.stderr
    assert "secret" not in refused.output


def test_a_check_fails_without_a_broker(
    check: t.Callable[..., Result], free_port: int
) -> None:
    """The host, the port and the reason are told; the password is not."""
    failed = check(url=f"amqp://guest:secret@127.0.0.1:{free_port}/")

    assert 1 == failed.exit_code
    assert f"127.0.0.1:{free_port}" in failed.stderr
    assert "secret" not in failed.output


def test_a_check_fails_without_a_url(check: t.Callable[..., Result]) -> None:
    """The setting that is missing is named."""
    failed = check(url="")

    assert 1 == failed.exit_code
    assert "SIGNALBUS_RABBITMQ_URL is not set in app.config" in failed.stderr


def test_a_check_says_that_no_model_names_rabbitmq(broker_url: str) -> None:
    """Else a name that is misspelled looks as if all were well."""
    app = Flask("shop")
    app.config["SIGNALBUS_RABBITMQ_URL"] = broker_url

    checked = app.test_cli_runner().invoke(signalbus_cli.signalbus, COMMAND)

    assert 0 == checked.exit_code
    assert "No signal model names the broker 'rabbitmq'." in checked.output


@pytest.mark.parametrize(
    "command", [["check"], ["declare"], ["consume", "shop:Reader"]], ids=" ".join
)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIGNALBUS_AUTOFLUSH", "maybe"),
        ("SIGNALBUS_RABBITMQ_URL", "http://guest:secret@localhost"),
        ("SIGNALBUS_RABBITMQ_TIMEOUT", "long"),
    ],
)
def test_a_wrong_setting_is_one_line(command: list[str], name: str, value: str) -> None:
    """The app cannot be loaded; the user is told why, without a traceback."""
    flask = [sys.executable, "-m", "flask", "--app", SHOP, "signalbus", "rabbitmq"]
    done = subprocess.run(  # noqa: S603 our own program
        [*flask, *command],
        env=os.environ
        | {
            "PYTHONPATH": str(SHOP.parent),
            "SIGNALBUS_RABBITMQ_URL": "amqp://localhost",
            "SIGNALBUS_RABBITMQ_QUEUE": "orders",
            name: value,
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert 1 == done.returncode
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"Error: {name} is ")
    assert "secret" not in line


def test_help_needs_no_app() -> None:
    """Who asks how a command is used may have no app yet."""
    done = subprocess.run(
        [sys.executable, "-m", "flask", "signalbus", "rabbitmq", "check", "--help"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert 0 == done.returncode
    assert "--management" in done.stdout
