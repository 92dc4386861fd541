"""Places for messages at running brokers, and what arrives there: for tests/security.

Each is at the broker of the environment, and belongs to one test. What arrives is read
by a client of the broker, so nothing that a plugin believes can hide an injection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import subprocess
import sys
import typing as t
from pathlib import Path

AMQP_URL = os.environ.get(
    "SIGNALBUS_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/"
)
REDIS_URL = os.environ.get("SIGNALBUS_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
NATS_URL = os.environ.get("SIGNALBUS_TEST_NATS_URL", "nats://127.0.0.1:4222")

MOCK_CLUSTER = Path(__file__).parents[1] / "kafka" / "mock_cluster.py"

#: The bodies of messages and their headers, by their ids.
Arrived: t.TypeAlias = "dict[str, dict[str, t.Any]]"


class Taker(t.NamedTuple):
    """A place for messages.

    :param config: what an app needs to send there.
    :param attribute: the attribute of models that says where.
    :param name: its value.
    :param attributes: what else models need.
    :param arrived: returns the headers of what has arrived, by its bodies.
    """

    config: dict[str, t.Any]
    attribute: str
    name: str
    attributes: dict[str, t.Any]
    arrived: t.Callable[[], Arrived]


def _new_name() -> str:
    return f"signalbus-{secrets.token_hex(6)}"


@contextlib.contextmanager
def redis_taker() -> t.Iterator[Taker]:
    """Give a stream."""
    import redis

    name = _new_name()
    with redis.Redis.from_url(REDIS_URL) as client:
        client.ping()

        def arrived() -> Arrived:
            entries: t.Any = client.xrange(name)
            return {fields[b"body"].decode(): fields for _, fields in entries}

        yield Taker(
            {"SIGNALBUS_REDIS_URL": REDIS_URL}, "signalbus_stream", name, {}, arrived
        )
        client.delete(name)


@contextlib.contextmanager
def nats_taker() -> t.Iterator[Taker]:
    """Give a stream that takes all subjects below its name."""
    import nats

    name = _new_name()

    def run(work: t.Callable[[t.Any], t.Awaitable[t.Any]]) -> t.Any:
        async def main() -> t.Any:
            client = await nats.connect(NATS_URL, connect_timeout=2)
            try:
                return await work(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(main())

    async def read(js: t.Any) -> Arrived:
        last = (await js.stream_info(name)).state.last_seq
        found = [await js.get_msg(name, number) for number in range(1, last + 1)]
        return {each.data.decode(): dict(each.headers or {}) for each in found}

    run(lambda js: js.add_stream(name=name, subjects=[f"{name}.>"]))
    config = {"SIGNALBUS_NATS_URL": NATS_URL}
    yield Taker(config, "signalbus_subject", f"{name}.paid", {}, lambda: run(read))
    run(lambda js: js.delete_stream(name))


@contextlib.contextmanager
def _amqp_queue() -> t.Iterator[tuple[str, t.Callable[[], list[tuple[t.Any, bytes]]]]]:
    """Give a queue, and what takes its messages."""
    import pika

    name = _new_name()
    connection = pika.BlockingConnection(pika.URLParameters(AMQP_URL))
    with contextlib.closing(connection):
        channel = connection.channel()
        channel.queue_declare(name, durable=True)

        def take() -> list[tuple[t.Any, bytes]]:
            found = []
            while (got := channel.basic_get(name, auto_ack=True))[0] is not None:
                found.append((got[1], got[2]))
            return found

        yield name, take
        channel.queue_delete(name)


@contextlib.contextmanager
def rabbitmq_taker() -> t.Iterator[Taker]:
    """Give a queue behind the default exchange."""
    with _amqp_queue() as (name, take):
        yield Taker(
            {"SIGNALBUS_RABBITMQ_URL": AMQP_URL},
            "signalbus_routing_key",
            name,
            {"signalbus_exchange": ""},
            lambda: {body.decode(): one.headers or {} for one, body in take()},
        )


@contextlib.contextmanager
def celery_taker() -> t.Iterator[Taker]:
    """Give a queue of tasks."""
    with _amqp_queue() as (name, take):

        def arrived() -> Arrived:
            calls = {}
            for properties, body in take():
                _, kwargs, _ = json.loads(body)
                calls[kwargs["text"]] = properties.headers
            return calls

        celery = {"broker_url": AMQP_URL.rstrip("/") + "//"}
        more = {"signalbus_task": "shop.take"}
        yield Taker({"CELERY": celery}, "signalbus_task_queue", name, more, arrived)


@contextlib.contextmanager
def kafka_taker() -> t.Iterator[Taker]:
    """Give a topic of a mock cluster."""
    from confluent_kafka import Consumer
    from confluent_kafka import TopicPartition

    name = _new_name()
    with subprocess.Popen(  # noqa: S603 our own program
        [sys.executable, str(MOCK_CLUSTER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        servers = process.stdout.readline().strip()
        process.stdin.write(f"topic {name} 1 1\n")
        process.stdin.flush()
        assert "ok" == process.stdout.readline().strip()

        def arrived() -> Arrived:
            consumer = Consumer({"bootstrap.servers": servers, "group.id": "g"})
            partition = TopicPartition(name, 0, 0)
            _, end = consumer.get_watermark_offsets(partition, 10)
            consumer.assign([partition])
            found: Arrived = {}
            while len(found) < end:
                for message in consumer.consume(end, 1):
                    found[(message.value() or b"").decode()] = dict(
                        message.headers() or ()
                    )
            consumer.close()
            return found

        config = {"SIGNALBUS_KAFKA": {"bootstrap.servers": servers}}
        yield Taker(config, "signalbus_topic", name, {}, arrived)
        process.kill()


#: How to make a taker, by the names of brokers.
TAKERS: t.Final[dict[str, t.Callable[[], t.ContextManager[Taker]]]] = {
    "celery": celery_taker,
    "kafka": kafka_taker,
    "nats": nats_taker,
    "rabbitmq": rabbitmq_taker,
    "redis": redis_taker,
}
