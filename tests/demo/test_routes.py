"""The shop runs on any broker: one line is changed, and one setting."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

LINE = "Route: t.Any = routes.default()\n"

#: Buys something, and says how many signals are left.
PROGRAM = """
from examples.shop import create_app
from examples.shop.models import db

app = create_app()
with app.app_context():
    db.create_all()
wish = {"customer": "Ada", "cents": 100, "card": "good"}
for _ in range(3):
    assert app.test_client().post("/orders", json=wish).status_code == 201
with app.app_context():
    db.signalbus.flush()
    print(sum(db.signalbus.count_pending().values()))
"""

Customers: t.TypeAlias = "list[str]"


def url_of(service: str, default: str) -> str:
    """Return the URL of a service: that of the environment, if it names one."""
    return os.environ.get(f"SIGNALBUS_TEST_{service}_URL", default)


class RabbitMQ:
    """A queue of RabbitMQ."""

    def __init__(self, place: str) -> None:
        """Declare it."""
        pika = pytest.importorskip("pika")
        url = url_of("RABBITMQ", "amqp://guest:guest@127.0.0.1:5672/")
        self.setting = {"FLASK_SIGNALBUS_RABBITMQ_URL": url}
        self._place = place
        self._channel = pika.BlockingConnection(pika.URLParameters(url)).channel()
        self._channel.queue_declare(place, durable=True)

    def bodies(self) -> t.Iterator[bytes]:
        """Take the bodies from the queue."""
        while True:
            method, _, body = self._channel.basic_get(self._place, auto_ack=True)
            if method is None:
                return
            yield body

    def close(self) -> None:
        """Delete the queue."""
        self._channel.queue_delete(self._place)
        self._channel.connection.close()


class Celery(RabbitMQ):
    """A queue of RabbitMQ, too, from which no worker takes tasks."""

    def __init__(self, place: str) -> None:
        """Declare it as Celery does."""
        super().__init__(place)
        (url,) = self.setting.values()
        self.setting = {"FLASK_CELERY": json.dumps({"broker_url": url})}

    def bodies(self) -> t.Iterator[bytes]:
        """Take the keyword arguments of the tasks."""
        for body in super().bodies():
            yield json.dumps(json.loads(body)[1]).encode()

    def close(self) -> None:
        """Delete the exchange, too, that Celery has declared."""
        self._channel.exchange_delete(self._place)
        super().close()


class Redis:
    """A stream of Redis."""

    def __init__(self, place: str) -> None:
        """Connect."""
        redis = pytest.importorskip("redis")
        url = url_of("REDIS", "redis://127.0.0.1:6379/0")
        self.setting = {"FLASK_SIGNALBUS_REDIS_URL": url}
        self._place = place
        self._client = redis.Redis.from_url(url)

    def bodies(self) -> t.Iterator[bytes]:
        """Read the bodies."""
        for _, fields in self._client.xrange(self._place):
            yield fields[b"body"]

    def close(self) -> None:
        """Delete the stream."""
        self._client.delete(self._place)
        self._client.close()


class NATS:
    """A stream of JetStream."""

    def __init__(self, place: str) -> None:
        """Make it."""
        pytest.importorskip("nats")
        url = url_of("NATS", "nats://127.0.0.1:4222")
        self.setting = {"FLASK_SIGNALBUS_NATS_URL": url}
        self._url = url
        self._place = place
        self._run(lambda stream: stream.add_stream(name=place, subjects=[place]))

    def bodies(self) -> t.Iterator[bytes]:
        """Read the bodies."""

        async def read(stream: t.Any) -> list[bytes]:
            info = await stream.stream_info(self._place)
            numbers = range(1, info.state.messages + 1)
            return [(await stream.get_msg(self._place, n)).data for n in numbers]

        yield from self._run(read)

    def close(self) -> None:
        """Delete the stream."""
        self._run(lambda stream: stream.delete_stream(self._place))

    def _run(self, work: t.Callable[[t.Any], t.Awaitable[t.Any]]) -> t.Any:
        import asyncio

        import nats

        async def run() -> t.Any:
            client = await nats.connect(self._url)
            try:
                return await work(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(run())


class Kafka:
    """A topic of librdkafka's mock cluster."""

    def __init__(self, place: str) -> None:
        """Start a cluster, and create the topic."""
        pytest.importorskip("confluent_kafka")
        self._place = place
        self._cluster = subprocess.Popen(  # noqa: S603 our own program
            [sys.executable, ROOT / "tests" / "kafka" / "mock_cluster.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._servers = self._cluster.stdout.readline().strip()
        print(f"topic {place} 1 1", file=self._cluster.stdin, flush=True)
        self._cluster.stdout.readline()
        settings = {"bootstrap.servers": self._servers}
        self.setting = {"FLASK_SIGNALBUS_KAFKA": json.dumps(settings)}

    def bodies(self) -> t.Iterator[bytes]:
        """Consume the topic."""
        from confluent_kafka import Consumer
        from confluent_kafka import TopicPartition

        settings = {"bootstrap.servers": self._servers, "group.id": "test"}
        consumer = Consumer(settings)
        partition = TopicPartition(self._place, 0, 0)
        _, end = consumer.get_watermark_offsets(partition, timeout=30)
        consumer.assign([partition])
        for _ in range(end):
            yield consumer.poll(timeout=30).value()
        consumer.close()

    def close(self) -> None:
        """End the cluster."""
        self._cluster.communicate()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Give a folder with a copy of the shop."""
    shutil.copytree(ROOT / "examples" / "shop", tmp_path / "examples" / "shop")
    return tmp_path


@pytest.mark.parametrize("route", [RabbitMQ, Celery, Kafka, Redis, NATS])
def test_one_line_changes_the_broker(shop: Path, route: t.Any) -> None:
    """The orders arrive, and no signal is left."""
    models = shop / "examples" / "shop" / "models.py"
    text = models.read_text()
    assert LINE in text
    models.write_text(text.replace(LINE, f"Route: t.Any = routes.{route.__name__}\n"))
    place = f"shop-{secrets.token_hex(4)}"
    broker = route(place)
    try:
        done = subprocess.run(  # noqa: S603 our own program
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, **broker.setting, "FLASK_SHOP_QUEUE": place},
            cwd=shop,
            capture_output=True,
            text=True,
            check=False,
        )
        orders = [json.loads(body)["order_id"] for body in broker.bodies()]
    finally:
        broker.close()

    assert (0, "0\n") == (done.returncode, done.stdout), done.stderr
    assert [1, 2, 3] == sorted(orders)
