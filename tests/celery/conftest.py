"""Brokers, apps and workers for the tests of Celery.

RabbitMQ is that of the environment, behind a proxy that refuses, freezes and drops
connections. Redis is a process of the tests' own.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import typing as t
import urllib.parse
from pathlib import Path

import amqp
import celery_shop
import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus.testing.servers import ProcessServer
from signalbus.testing.servers import ProxiedServer
from signalbus.testing.servers import ReceivedMessage

if t.TYPE_CHECKING:
    from flask import Flask

RABBITMQ_URL = os.environ.get(
    "SIGNALBUS_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/"
)

#: The fixtures that need RabbitMQ.
SERVERS = {"rabbitmq", "server", "worker"}

PLUGINS = Path(__file__).parents[1] / "plugins"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that are about a broker that runs."""
    for item in items:
        if SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.broker)


class Call(t.NamedTuple):
    """The call of a task, as it is stored in a queue."""

    args: list[t.Any]
    kwargs: dict[str, t.Any]
    headers: dict[str, t.Any]
    properties: dict[str, t.Any]

    @classmethod
    def of(
        cls, body: str, headers: dict[str, t.Any], properties: dict[str, t.Any]
    ) -> Call:
        """Decode the body as a worker does."""
        from kombu.utils.json import loads

        args, kwargs, _ = loads(body)
        return cls(args, kwargs, headers, properties)


class CeleryServer(t.Protocol):
    """A server that Celery sends to."""

    def celery(self) -> dict[str, t.Any]:
        """Return the settings of a Celery app."""

    def new_queue(self) -> str:
        """Return the name of a new, empty queue."""

    def calls(self, queue: str) -> list[Call]:
        """Return what is in *queue*, and leave it there."""


class Queues:
    """What both servers say to the suite."""

    def attributes(self) -> dict[str, t.Any]:
        """Return a new queue."""
        queue = t.cast("CeleryServer", self).new_queue()
        return {"signalbus_task": "shop.take", "signalbus_task_queue": queue}

    def read(self, attributes: dict[str, t.Any]) -> list[ReceivedMessage]:
        """Read the queue: the column *payload* is the body of the suite."""
        calls = t.cast("CeleryServer", self).calls(attributes["signalbus_task_queue"])
        return [
            ReceivedMessage(call.kwargs["payload"], call.headers["id"], call.headers)
            for call in calls
        ]


class RabbitMQ(Queues, ProxiedServer):
    """The broker of the environment, behind a proxy, with queues of the tests' own."""

    def __init__(self, url: str) -> None:
        """Stand before the broker at *url*."""
        self.url = urllib.parse.urlsplit(url)
        super().__init__(self.url.hostname or "", self.url.port or 5672)
        self._queues: dict[str, dict[str, t.Any]] = {}

    def settings(self) -> dict[str, t.Any]:
        """Return the settings of an app that uses it through the proxy."""
        return {"CELERY": {**self.celery(), "broker_url": self._url(self.proxy.port)}}

    def celery(self) -> dict[str, t.Any]:
        """Return the settings of a Celery app; no exchange is made for a queue."""
        return {
            "broker_url": self._url(self.url.port or 5672),
            "task_default_exchange": "",
            "task_queues": {
                name: {"exchange": "", "queue_arguments": arguments}
                for name, arguments in self._queues.items()
            },
        }

    def new_queue(self, arguments: dict[str, t.Any] | None = None) -> str:
        """Declare a new durable queue and return its name."""
        name = f"signalbus.{secrets.token_hex(6)}"
        self._queues[name] = arguments or {}
        self.declare(name)
        return name

    def declare(self, name: str) -> None:
        """Declare the queue *name*."""
        with self.channel() as channel:
            channel.queue_declare(
                name, durable=True, auto_delete=False, arguments=self._queues[name]
            )

    def full_queue(self) -> str:
        """Declare a queue that takes nothing."""
        return self.new_queue({"x-max-length": 0, "x-overflow": "reject-publish"})

    def refused_attributes(self) -> dict[str, t.Any]:
        """Return a queue that is full."""
        return {
            "signalbus_task": "shop.take",
            "signalbus_task_queue": self.full_queue(),
        }

    def calls(self, queue: str) -> list[Call]:
        """Get what is in the queue, and leave it there."""
        found: list[Call] = []

        def take(message: t.Any) -> None:
            properties = message.properties
            headers = properties["application_headers"]
            found.append(Call.of(message.body, headers, properties))

        with self.channel() as channel:
            count = channel.queue_declare(queue, passive=True).message_count
            channel.basic_consume(queue, callback=take)
            while len(found) < count:
                channel.connection.drain_events(timeout=30)
        return found

    def clean(self) -> None:
        """Delete the queues."""
        with self.channel() as channel:
            for name in self._queues:
                channel.queue_delete(name)

    @contextlib.contextmanager
    def channel(self) -> t.Iterator[t.Any]:
        """Give a channel of a new connection, past the proxy."""
        with amqp.Connection(
            f"{self.url.hostname}:{self.url.port or 5672}",
            self.url.username,
            self.url.password,
            virtual_host=self.url.path.lstrip("/") or "/",
        ) as connection:
            yield connection.channel()

    def _url(self, port: int) -> str:
        login = f"{self.url.username}:{self.url.password}"
        virtual_host = self.url.path.lstrip("/") or "/"
        return f"amqp://{login}@{self.url.hostname}:{port}/{virtual_host}"


class Redis(Queues, ProcessServer):
    """A Redis of the tests' own, which keeps nothing on disk."""

    #: Stands before the names of all keys.
    prefix = "shop:"

    def command(self) -> list[str]:
        """Run it."""
        options = ["--save", "", "--appendonly", "no", "--bind", "127.0.0.1"]
        return ["redis-server", "--port", str(self.server_port), *options]

    def settings(self) -> dict[str, t.Any]:
        """Return the settings of an app that uses it through the proxy."""
        return {"CELERY": {**self.celery(), "broker_url": self._url(self.port)}}

    def celery(self) -> dict[str, t.Any]:
        """Return the settings of a Celery app."""
        return {
            "broker_url": self._url(self.server_port),
            "broker_transport_options": {"global_keyprefix": self.prefix},
        }

    def new_queue(self) -> str:
        """Choose a queue."""
        return f"signalbus.{secrets.token_hex(6)}"

    def refused_attributes(self) -> dict[str, t.Any]:
        """Return a queue whose key has a value that is no list."""
        queue = self.new_queue()
        self.client().set(self.prefix + queue, "no list")
        return {"signalbus_task": "shop.take", "signalbus_task_queue": queue}

    def calls(self, queue: str) -> list[Call]:
        """Get what is in the queue, and leave it there."""
        client, key = self.client(), self.prefix + queue
        keys = (key, *(f"{key}\x06\x16{step}" for step in (3, 6, 9)))  # of priorities
        items = [item for each in keys for item in reversed(client.lrange(each, 0, -1))]
        messages = map(json.loads, items)
        return [
            Call.of(
                base64.b64decode(message["body"]).decode(),
                message["headers"],
                message["properties"],
            )
            for message in messages
        ]

    def client(self) -> t.Any:
        """Return a client of redis-py, past the proxy."""
        redis = pytest.importorskip("redis")
        return redis.Redis(port=self.server_port, db=3)

    def _url(self, port: int) -> str:
        return f"redis://127.0.0.1:{port}/3"


class Shop:
    """An app with a signal model that calls the task ``shop.take``.

    :param celery: the settings of its Celery app; ``None`` if it has none.
    :param columns: what the model has beside its key.
    :param attributes: what the model declares.
    """

    def __init__(
        self,
        app: Flask,
        celery: dict[str, t.Any] | None,
        columns: dict[str, sa.Column[t.Any]],
        attributes: dict[str, t.Any],
    ) -> None:
        """Make the tables."""
        self.app = app
        self.celery: t.Any = None
        if celery is not None:
            app.config["CELERY"] = celery
            self.celery = celery_shop.celery_init_app(app)
        self.db = SQLAlchemy(app)
        self.bus = SignalBus(self.db)
        self.bus.autoflush = False
        declared = {"signalbus_broker": "celery", "signalbus_task": "shop.take"}
        self.model: t.Any = type(
            "OrderPaid",
            (self.db.Model,),
            {
                "id": sa.Column(sa.Integer, primary_key=True),
                **columns,
                **declared,
                **attributes,
            },
        )
        with app.app_context():
            self.db.create_all()

    def task(self, **options: t.Any) -> t.Callable[..., t.Any]:
        """Decorate the task of the model, which only this Celery app has."""
        decorator = self.celery.task(name="shop.take", shared=False, **options)
        return t.cast("t.Callable[..., t.Any]", decorator)

    def record(self, *signals: dict[str, t.Any]) -> None:
        """Record signals with these values."""
        with self.app.app_context():
            self.db.session.add_all(self.model(**values) for values in signals)
            self.db.session.commit()

    def flush(self) -> int:
        """Flush, and return the number of signals sent."""
        with self.app.app_context():
            return self.bus.flushmany()

    def pending(self) -> set[int]:
        """Return the ids of the signals that are pending."""
        with self.app.app_context():
            return set(self.db.session.scalars(sa.select(self.model.id)))


class NewShop(t.Protocol):
    """Makes a shop on a server; its model sends to *queue*."""

    def __call__(
        self,
        server: CeleryServer | None,
        queue: str | None = None,
        *,
        celery: t.Mapping[str, t.Any] | None = None,
        columns: t.Mapping[str, sa.Column[t.Any]] | None = None,
        config: t.Mapping[str, t.Any] | None = None,
        **attributes: t.Any,
    ) -> Shop:
        """Make it; *celery* are further settings of its Celery app."""


@pytest.fixture
def new_shop(new_app: t.Callable[..., Flask], engine_url: str) -> NewShop:
    """Return a function that makes a shop."""

    def make(
        server: CeleryServer | None,
        queue: str | None = None,
        *,
        celery: t.Mapping[str, t.Any] | None = None,
        columns: t.Mapping[str, sa.Column[t.Any]] | None = None,
        config: t.Mapping[str, t.Any] | None = None,
        **attributes: t.Any,
    ) -> Shop:
        given = {**server.celery(), **(celery or {})} if server else celery
        if queue is not None:
            attributes["signalbus_task_queue"] = queue
        app = new_app(engine_url, **(config or {}))
        return Shop(
            app, None if given is None else dict(given), dict(columns or {}), attributes
        )

    return make


@pytest.fixture(scope="session")
def rabbitmq() -> t.Iterator[RabbitMQ]:
    """Give the broker of the environment, or skip the test."""
    server = RabbitMQ(RABBITMQ_URL)
    try:
        with server.channel():
            pass
    except OSError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"No broker: {error!r}")
    server.start()
    yield server
    server.stop()
    server.clean()


@pytest.fixture(scope="session")
def redis_server() -> t.Iterator[Redis]:
    """Give a Redis, or skip the test where it is not installed."""
    pytest.importorskip("redis")
    if not shutil.which("redis-server"):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("No redis-server")
    server = Redis()
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["rabbitmq", "redis_server"])
def server(request: pytest.FixtureRequest) -> CeleryServer:
    """Give RabbitMQ, and then Redis."""
    return t.cast("CeleryServer", request.getfixturevalue(request.param))


class Worker:
    """A worker in a process of its own: what its tasks have noted."""

    def __init__(self, notes: Path) -> None:
        """Read from the file *notes*."""
        self._notes = notes

    def calls(self, count: int, seconds: float = 60.0) -> list[dict[str, t.Any]]:
        """Return the calls that were run, as soon as there are *count*."""
        deadline = time.monotonic() + seconds
        while len(lines := self._notes.read_text().splitlines()) < count:
            if time.monotonic() > deadline:
                pytest.fail(f"Only {len(lines)} of {count} tasks were run")
            time.sleep(0.02)
        return [json.loads(line) for line in lines]


class NewWorker(t.Protocol):
    """Starts workers."""

    def __call__(self, celery: t.Mapping[str, t.Any], *queues: str) -> Worker:
        """Start one that has these settings and consumes *queues*."""


@pytest.fixture
def new_worker(tmp_path: Path) -> t.Iterator[NewWorker]:
    """Return a function that starts a worker; it is ended with the test."""
    with contextlib.ExitStack() as stack:

        def start(celery: t.Mapping[str, t.Any], *queues: str) -> Worker:
            notes = tmp_path / "notes"
            notes.touch()
            command = [sys.executable, "-m", "celery", "-A", "celery_shop", "worker"]
            command += ["--queues", ",".join(queues), "--pool=solo"]
            command += [
                f"--without-{each}" for each in ("gossip", "mingle", "heartbeat")
            ]
            process = subprocess.Popen(  # noqa: S603 our own program
                command,
                env={
                    **os.environ,
                    "CELERY_SHOP": json.dumps(
                        {
                            # Otherwise it would leave an exchange behind.
                            "celery": {**celery, "worker_enable_remote_control": False},
                            "notes": str(notes),
                        }
                    ),
                    "PYTHONPATH": str(PLUGINS),
                },
                cwd=tmp_path,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return Worker(notes)

        yield start
