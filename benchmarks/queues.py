"""The places that messages go to: one of its own for each measurement."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import typing as t

import amqp
import nats
import pika
import redis

from benchmarks.urls import url

#: The name of a place, and what empties it and counts what was there.
Place: t.TypeAlias = "tuple[str, t.Callable[[], int]]"


def new_queue(broker: str) -> t.ContextManager[Place]:
    """Make a place of *broker*; delete it at the end."""
    return _QUEUES[broker](f"signalbus_bench_{secrets.token_hex(4)}")


@contextlib.contextmanager
def rabbitmq() -> t.Iterator[amqp.Connection]:
    """Connect to RabbitMQ."""
    to = pika.URLParameters(url("rabbitmq"))
    login = (f"{to.host}:{to.port}", to.credentials.username, to.credentials.password)
    with amqp.Connection(*login, virtual_host=to.virtual_host) as connection:
        yield connection


@contextlib.contextmanager
def _rabbitmq_queue(name: str) -> t.Iterator[Place]:
    with rabbitmq() as connection:
        channel = connection.channel()
        channel.queue_declare(name, durable=True, auto_delete=False)
        try:
            yield name, lambda: channel.queue_purge(name)
        finally:
            channel.queue_delete(name)


@contextlib.contextmanager
def _redis_stream(name: str) -> t.Iterator[Place]:
    with redis.Redis.from_url(url("redis")) as client:
        try:
            yield name, lambda: client.xtrim(name, maxlen=0, approximate=False)
        finally:
            client.delete(name)


@contextlib.contextmanager
def _nats_stream(name: str) -> t.Iterator[Place]:
    async def add(client: t.Any) -> None:
        await client.jetstream().add_stream(name=name, subjects=[name])

    async def delete(client: t.Any) -> int:
        stream = client.jetstream()
        count = (await stream.stream_info(name)).state.messages
        await stream.delete_stream(name)
        return int(count)

    def replace() -> int:  # to purge it would keep the ids of messages
        count = _with_nats(delete)
        _with_nats(add)
        return int(count)

    _with_nats(add)
    try:
        yield name, replace
    finally:
        _with_nats(delete)


def _with_nats(work: t.Callable[[t.Any], t.Awaitable[t.Any]]) -> t.Any:
    """Do *work* over a connection to NATS."""

    async def connected() -> t.Any:
        client = await nats.connect(url("nats"))
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(connected())


def _rabbitmq_version() -> str:
    with rabbitmq() as connection:
        return str(connection.server_properties["version"])


def _redis_version() -> str:
    with redis.Redis.from_url(url("redis")) as client:
        settings = client.config_get("*")
        kept = ", ".join(
            f"{name} = {settings[name]}" for name in ("appendonly", "save")
        )
        return f"{client.info('server')['redis_version']}, {kept}"


def _nats_version() -> str:
    async def ask(client: t.Any) -> str:
        version = client.connected_server_version
        return f"{version.major}.{version.minor}.{version.patch}"

    return str(_with_nats(ask))


_QUEUES: t.Final = {
    "nats": _nats_stream,
    "rabbitmq": _rabbitmq_queue,
    "redis": _redis_stream,
}

#: What tells the versions of the brokers, and settings that matter for speed.
VERSIONS: t.Final = {
    "RabbitMQ": _rabbitmq_version,
    "Redis": _redis_version,
    "NATS": _nats_version,
}
