"""Processes that are killed, stopped or run side by side lose no message."""

from __future__ import annotations

import collections
import fcntl
import os
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from conftest import Broker
    from conftest import Proxy
    from signalbus_rabbitmq import Message
    from signalbus_rabbitmq import Publisher

SHOP = Path(__file__).with_name("shop.py")

Start: t.TypeAlias = "t.Callable[..., subprocess.Popen[str]]"


@pytest.fixture
def start(
    broker: Broker, queue: str, interpreter: Start, monkeypatch: pytest.MonkeyPatch
) -> Start:
    """Start the shop with ``start(*arguments)``, on the queue of the test."""
    monkeypatch.setenv("SIGNALBUS_RABBITMQ_URL", broker.url)
    monkeypatch.setenv("SIGNALBUS_RABBITMQ_QUEUE", queue)
    return lambda *arguments: interpreter(SHOP, *arguments)


@pytest.fixture
def fill_table(
    engine_url: str, monkeypatch: pytest.MonkeyPatch
) -> t.Callable[[int], None]:
    """Record so many signals of the shop, in the database of the test."""
    monkeypatch.setenv("DATABASE_URL", engine_url)

    def fill(count: int) -> None:
        engine = sa.create_engine(engine_url, poolclass=sa.NullPool)
        table = sa.Table(
            "paid",
            sa.MetaData(),
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("text", sa.Text, nullable=False),
        )
        with engine.begin() as connection:
            table.create(connection)
            rows = [{"text": str(number)} for number in range(count)]
            connection.execute(table.insert(), rows)

    return fill


def ids(broker: Broker, queue: str) -> collections.Counter[str]:
    """Take all messages, and count how often each message id is among them."""
    return collections.Counter(each.message_id for each, _ in broker.take(queue))


def expected_ids(count: int) -> set[str]:
    """Return the message ids of so many signals."""
    return {f"paid:{number + 1}" for number in range(count)}


@pytest.mark.databases("postgresql")
def test_two_flushers_send_each_signal_once(
    start: Start, fill_table: t.Callable[[int], None], broker: Broker, queue: str
) -> None:
    """50,000 signals reach a durable queue, each of them once."""
    fill_table(50_000)

    flushers = [start("flushmany"), start("flushmany")]
    sent = [int(flusher.communicate()[0]) for flusher in flushers]

    assert 50_000 == sum(sent)
    seen = ids(broker, queue)
    assert expected_ids(50_000) == set(seen)
    assert 50_000 == sum(seen.values())


@pytest.mark.databases("sqlite", "postgresql")
def test_a_kill_after_the_confirm_repeats_one_burst(
    start: Start, fill_table: t.Callable[[int], None], broker: Broker, queue: str
) -> None:
    """What was sent and not deleted is sent again, with the same message ids."""
    fill_table(1200)
    killed = start("flushmany", "sent")
    assert killed.stdout
    assert "at sent\n" == killed.stdout.readline()
    killed.kill()
    killed.wait()

    assert "1200\n" == start("flushmany").communicate()[0]
    seen = ids(broker, queue)
    assert expected_ids(1200) == set(seen)
    assert 500 == sum(count - 1 for count in seen.values())


def test_a_consumer_stopped_half_way_loses_nothing(
    start: Start,
    publisher: Publisher,
    messages_to: t.Callable[..., list[Message]],
    broker: Broker,
    queue: str,
) -> None:
    """Eight threads, SIGTERM in the middle, started again: each at least once."""
    publisher.publish_messages(messages_to(queue, 20_000))
    first = start("consume")
    assert first.stdout
    if sys.platform == "linux":  # where this process waits long, the other must, too
        fcntl.fcntl(first.stdout, fcntl.F_SETPIPE_SZ, 4096)
    seen = [first.stdout.readline() for _ in range(10_000)]
    first.send_signal(signal.SIGTERM)
    seen += first.stdout.readlines()
    assert 0 == first.wait()
    assert 10_000 <= len(seen) < 20_000

    second = start("consume")
    assert second.stdout
    seen += [second.stdout.readline() for _ in range(20_000 - len(seen))]
    second.send_signal(signal.SIGTERM)
    seen += second.stdout.readlines()

    assert 0 == second.wait()
    assert {f"{number}\n" for number in range(20_000)} == set(seen)
    assert 20_000 == len(seen)
    assert [] == broker.bodies(queue)


def test_an_interrupt_does_not_wait_for_a_worker_that_hangs(
    start: Start,
    publisher: Publisher,
    messages_to: t.Callable[..., list[Message]],
    broker: Broker,
    queue: str,
) -> None:
    """A program without signal handlers ends by Ctrl-C; its message is not lost."""
    publisher.publish_messages(messages_to(queue, 1))
    hanging = start("hang")
    assert hanging.stdout
    assert "0\n" == hanging.stdout.readline()

    hanging.send_signal(signal.SIGINT)

    assert -signal.SIGINT == hanging.wait(30)
    assert [b"0"] == broker.bodies(queue, at_least=1)


def test_a_repeated_flush_goes_on_when_the_broker_is_back(
    start: Start,
    fill_table: t.Callable[[int], None],
    broker: Broker,
    queue: str,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With `-r`, the command outlives a broker that cannot be reached at first."""
    pytest.importorskip("signalbus_cli")
    fill_table(10)
    monkeypatch.setenv("SIGNALBUS_RABBITMQ_URL", proxy.url)
    proxy.refuse()
    command = ["flask", "--app", str(SHOP), "signalbus", "flushmany", "-r", "0.2"]
    with subprocess.Popen(  # noqa: S603 our own program
        [sys.executable, "-m", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stderr
        assert process.stdout
        while proxy.address not in process.stderr.readline():
            pass
        proxy.accept()
        while not process.stdout.readline().startswith("10 signals sent"):
            pass
        process.terminate()
        process.communicate()

    assert expected_ids(10) == set(ids(broker, queue))
