"""Kafka clusters and apps for the tests of Kafka.

Most tests use the mock cluster of librdkafka, in a process of its own, which they may
stop and freeze. Some also use the cluster that ``SIGNALBUS_TEST_KAFKA_URL`` names, by
its bootstrap servers.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import sqlalchemy as sa
from confluent_kafka import Consumer
from confluent_kafka import TopicPartition
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus_kafka.plugin import broker

if t.TYPE_CHECKING:
    from confluent_kafka import Message
    from flask import Flask

PROGRAM = Path(__file__).with_name("mock_cluster.py")


class Cluster:
    """A mock cluster, in a process of its own."""

    def __init__(self, brokers: int = 1) -> None:
        self.process = subprocess.Popen(  # noqa: S603 our own program
            [sys.executable, str(PROGRAM), str(brokers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.servers = self._answer()

    def order(self, *words: object) -> None:
        """Have the cluster obey a command."""
        assert self.process.stdin is not None
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self._answer()
        assert "ok" == answer, answer

    def topic(self, partitions: int = 4) -> str:
        """Create a topic, and return its name."""
        name = f"signalbus-{secrets.token_hex(6)}"
        self.order("topic", name, partitions, 1)
        return name

    def stop(self) -> None:
        """End all connections, and refuse new ones."""
        self.order("down", -1)

    def start(self) -> None:
        """Take connections."""
        self.order("up", -1)

    def freeze(self) -> None:
        """Answer nothing; the system still accepts connections."""
        self.process.send_signal(signal.SIGSTOP)
        # Until then, it may still answer.
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        """Answer again, also what was asked meanwhile."""
        self.process.send_signal(signal.SIGCONT)

    def push_errors(self, request: int, *codes: int) -> None:
        """Answer the next requests of that kind with these errors; 0 is none."""
        self.order("errors", request, *codes)

    def read(self, topic: str) -> list[Message]:
        """Return what is stored in *topic*, partition by partition."""
        return read(self.servers, topic)

    def values(self, topic: str) -> list[bytes]:
        """Return the bodies that are stored in *topic*, partition by partition."""
        return [message.value() or b"" for message in self.read(topic)]

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()

    def _answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def read(servers: str, topic: str) -> list[Message]:
    """Return what is stored in *topic* of the cluster at *servers*."""
    config = {
        "bootstrap.servers": servers,
        "group.id": "signalbus-tests",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 10,
        "log_level": 0,
    }
    consumer = Consumer(config)
    found: list[Message] = []
    try:
        partitions = consumer.list_topics(topic, 60).topics[topic].partitions
        for number in partitions:
            partition = TopicPartition(topic, number, 0)
            first, end = consumer.get_watermark_offsets(partition, 60)
            consumer.assign([partition])
            wanted = len(found) + end - first
            while len(found) < wanted:
                found += consumer.consume(min(wanted - len(found), 1000), 1)
                assert all(message.error() is None for message in found)
    finally:
        consumer.close()
    return found


class Shop:
    """An app whose signals Kafka sends."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.db = SQLAlchemy(app)
        self.bus = SignalBus(self.db)
        self.bus.autoflush = False

    def declare(self, name: str = "OrderPaid", **attributes: t.Any) -> t.Any:
        """Define a signal model whose text is the body, unless it has another."""
        columns: dict[str, t.Any] = {
            "__tablename__": name.lower(),
            "id": sa.Column(sa.Integer, primary_key=True),
            "text": sa.Column(sa.String(100), nullable=False),
            "signalbus_broker": "kafka",
            "signalbus_body": staticmethod(lambda signal: signal.text.encode()),
        }
        functions = {
            name: staticmethod(value) if callable(value) else value
            for name, value in attributes.items()
        }
        model = type(name, (self.db.Model,), {**columns, **functions})
        self.db.create_all()
        return model

    def record(self, model: t.Any, *texts: str) -> None:
        """Commit a signal for each of *texts*."""
        self.db.session.add_all([model(text=text) for text in texts])
        self.db.session.commit()

    def pending(self, model: t.Any) -> list[str]:
        """Return the texts of the signals that are left."""
        self.db.session.rollback()
        query = sa.select(model.text).order_by(model.id)
        return list(self.db.session.scalars(query))


@pytest.fixture(scope="session")
def running_cluster() -> t.Iterator[Cluster]:
    """Give a cluster of the session's own."""
    cluster = Cluster()
    yield cluster
    cluster.close()


@pytest.fixture
def new_cluster() -> t.Iterator[t.Callable[..., Cluster]]:
    """Start clusters of the test's own with ``new_cluster(brokers)``."""
    with contextlib.ExitStack() as stack:

        def start(brokers: int = 1) -> Cluster:
            cluster = Cluster(brokers)
            stack.callback(cluster.close)
            return cluster

        yield start


@pytest.fixture
def cluster(running_cluster: Cluster) -> t.Iterator[Cluster]:
    """Give the cluster, which works again after the test."""
    yield running_cluster
    running_cluster.thaw()
    running_cluster.start()


@pytest.fixture
def topic(cluster: Cluster) -> str:
    """Give the name of an empty topic with four partitions."""
    return cluster.topic()


@pytest.fixture
def open_shop(
    new_app: t.Callable[..., Flask], engine_url: str, cluster: Cluster
) -> t.Iterator[t.Callable[..., Shop]]:
    """Make shops with ``open_shop(**config)``; ``kafka`` has more of librdkafka's."""
    with contextlib.ExitStack() as stack:

        def make(kafka: t.Mapping[str, t.Any] | None = None, **config: t.Any) -> Shop:
            servers = {"bootstrap.servers": cluster.servers}
            config = {"SIGNALBUS_KAFKA": {**servers, **(kafka or {})}, **config}
            app = new_app(engine_url, **config)
            shop = Shop(app)
            stack.callback(broker.close, app)
            stack.enter_context(app.app_context())
            return shop

        yield make


@pytest.fixture
def shop(open_shop: t.Callable[..., Shop]) -> Shop:
    """Give a shop, within its app context."""
    return open_shop()


@pytest.fixture(name="read")
def _read() -> t.Callable[[str, str], list[Message]]:
    """Give the function that returns what is stored in a topic of any cluster."""
    return read


@pytest.fixture
def real_servers() -> str:
    """Give the bootstrap servers of a real cluster, or skip the test."""
    servers = os.environ.get("SIGNALBUS_TEST_KAFKA_URL")
    if not servers:
        pytest.skip("SIGNALBUS_TEST_KAFKA_URL names no cluster")
    return servers
