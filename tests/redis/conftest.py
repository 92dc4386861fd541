"""Servers, apps and models for the tests of Redis.

Most tests use the server of the environment, each with streams of its own. Those that
kill, stop or freeze a server, or that change its settings, have one of their own.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import tempfile
import threading
import typing as t

import pytest
import redis
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import BrokerUnavailableError
from signalbus import PartialDeliveryError
from signalbus import SignalBus
from signalbus.testing.proxy import TcpProxy
from signalbus.testing.servers import ProcessServer
from signalbus.testing.servers import ReceivedMessage

if t.TYPE_CHECKING:
    from pathlib import Path

REDIS_URL = os.environ.get("SIGNALBUS_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")

#: The fixtures that need a server.
SERVERS = {"redis_url", "new_server"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that are about a server that runs."""
    for item in items:
        if SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.broker)


class RedisServer(ProcessServer):
    """A server that belongs to the tests, with an append-only file.

    :param options: further options of the command, such as ``"--maxmemory 1gb"``.
    """

    def __init__(self, *options: str) -> None:
        super().__init__()
        self._options = options
        self._folder = tempfile.TemporaryDirectory(prefix="signalbus-redis-")

    @property
    def url(self) -> str:
        """Where it is, for the app."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def client(self) -> redis.Redis:
        """A client that the plugin does not know of."""
        return redis.Redis(port=self.server_port)

    def command(self) -> list[str]:
        """Return the command that runs it."""
        basics = f"redis-server --bind 127.0.0.1 --port {self.server_port} --save"
        disk = ("--appendonly", "yes", "--dir", self._folder.name)
        options = [word for each in self._options for word in each.split()]
        return [*basics.split(), "", *disk, *options]

    def settings(self) -> dict[str, t.Any]:
        """Return where it is."""
        return {"SIGNALBUS_REDIS_URL": self.url}

    def attributes(self) -> dict[str, t.Any]:
        """Return a new stream."""
        return {"signalbus_stream": new_name()}

    def refused_attributes(self) -> dict[str, t.Any]:
        """Return a key that is not a stream."""
        name = new_name()
        with self.client as client:
            client.set(name, "a string")
        return {"signalbus_stream": name}

    def read(self, attributes: dict[str, t.Any]) -> list[ReceivedMessage]:
        """Return the entries of a stream."""
        with self.client as client:
            return read_stream(client, attributes["signalbus_stream"])

    def is_ready(self) -> bool:
        """Return whether it answers, and has loaded what it keeps."""
        with contextlib.suppress(redis.RedisError), self.client as client:
            return bool(client.ping())
        return False

    def remove(self) -> None:
        """Stop it for good."""
        self.stop()
        self._folder.cleanup()


def new_name() -> str:
    """Return a key that nobody else has."""
    return f"signalbus.{secrets.token_hex(6)}"


def read_stream(client: redis.Redis, stream: str) -> list[ReceivedMessage]:
    """Return the entries of *stream*."""
    return [_message(fields) for _, fields in client.xrange(stream)]


def _message(fields: dict[bytes, bytes]) -> ReceivedMessage:
    body = fields.pop(b"body")
    text = {name.decode(): value.decode() for name, value in fields.items()}
    own = [text.pop(name) for name in ("id", "type", "content_type")]
    return ReceivedMessage(body, own[0], text, own[1], own[2])


class Shop:
    """An app with a signal model that goes to a stream of its own."""

    def __init__(
        self,
        database: str,
        url: str | None,
        attributes: t.Any,
        timeout: float | None = None,
    ) -> None:
        self.app = Flask("shop")
        self.app.config["SQLALCHEMY_DATABASE_URI"] = database
        self.app.config["SIGNALBUS_REDIS_URL"] = url
        if timeout is not None:
            self.app.config["SIGNALBUS_REDIS_TIMEOUT"] = timeout
        self.db = SQLAlchemy(self.app)
        self.bus = SignalBus(self.db)
        self.bus.autoflush = False
        namespace = {
            "id": sa.Column(sa.Integer, primary_key=True, autoincrement=False),
            "body": sa.Column(sa.LargeBinary, nullable=False),
            "signalbus_broker": "redis",
            "signalbus_body": lambda signal: signal.body,
            **attributes,
        }
        self.model: t.Any = type("Paid", (self.db.Model,), namespace)
        with self.app.app_context():
            self.db.create_all()

    def record(self, *bodies: bytes) -> None:
        """Record signals, in place of all others; their ids begin with 1."""
        with self.app.app_context():
            self.db.session.execute(sa.delete(self.model))
            for number, body in enumerate(bodies, 1):
                self.db.session.add(self.model(id=number, body=body))
            self.db.session.commit()

    def flush(self) -> int:
        """Flush all signals."""
        with self.app.app_context():
            return self.bus.flushmany()

    def pending(self) -> list[int]:
        """Return the ids of the signals that are pending, sorted."""
        with self.app.app_context():
            return list(self.db.session.scalars(sa.select(self.model.id)))

    def check(self) -> list[str]:
        """Return what ``flask signalbus redis check`` reports."""
        plugin: t.Any = self.bus.plugin_manager.get_plugin("redis")
        with self.app.app_context():
            models = self.bus.get_signal_models()
            return [str(line) for line in plugin.check(self.bus, models)]

    def problems(self) -> list[str]:
        """Return what the plugin's check adds to ``flask signalbus check``."""
        plugin: t.Any = self.bus.plugin_manager.get_plugin("redis")
        with self.app.app_context():
            models = self.bus.get_signal_models()
            found: list[str] = plugin.signalbus_check(self.bus, models)
        return found

    def failures(self, timeout: float | None = None) -> dict[int, Exception]:
        """Send all pending signals as one burst; return what failed, by position.

        Nothing is deleted.
        """
        with self.app.app_context():
            rows = self.db.session.scalars(sa.select(self.model)).all()
            try:
                self.bus.plugin_manager.hook.signalbus_send_burst(
                    bus=self.bus, model=self.model, signals=rows, timeout=timeout
                )
            except PartialDeliveryError as error:
                return error.failures
            except BrokerUnavailableError as error:
                return dict.fromkeys(range(len(rows)), error)
            return {}


class ScriptedServer:
    """Answers as a test says, for what a real server does only rarely.

    :param script: gets the body of an entry, and returns a line in reply, such as
        ``"+1-1"``: none if it is empty; ``None`` closes the connection instead.
    :ivar accepted: how many connections there were.
    :ivar closed: is released for each that has ended.
    """

    def __init__(self, script: Script) -> None:
        self.accepted = 0
        self.closed = threading.Semaphore(0)
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.accepted += 1
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, client.makefile("rb") as stream:
            while words := _read_command(stream):
                reply = self._reply(words)
                if reply is None:
                    client.shutdown(socket.SHUT_RDWR)
                    break
                client.sendall(f"{reply}\r\n".encode() if reply else b"")
        self.closed.release()

    def _reply(self, words: list[bytes]) -> str | None:
        if words[0] != b"XADD":
            return "+OK"
        return self._script(words[words.index(b"body") + 1])


def _read_command(stream: t.BinaryIO) -> list[bytes]:
    words = []
    for _ in range(int(stream.readline()[1:] or 0)):
        size = int(stream.readline()[1:])
        words.append(stream.read(size + 2)[:-2])
    return words


Script: t.TypeAlias = "t.Callable[[bytes], str | None]"
NewScripted: t.TypeAlias = "t.Callable[[Script], ScriptedServer]"
NewShop: t.TypeAlias = "t.Callable[..., Shop]"
NewServer: t.TypeAlias = "t.Callable[..., RedisServer]"


@pytest.fixture(scope="session")
def redis_url() -> str:
    """Give the URL of the environment's server, or skip the test."""
    try:
        redis.Redis.from_url(REDIS_URL).ping()
    except redis.RedisError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"No Redis: {error!r}")
    return REDIS_URL


@pytest.fixture
def client(redis_url: str) -> t.Iterator[redis.Redis]:
    """Give a client of the environment's server."""
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def stream(client: redis.Redis) -> t.Iterator[str]:
    """Give the key of a stream that is deleted in the end."""
    name = new_name()
    yield name
    client.delete(name)


@pytest.fixture(scope="module")
def new_server() -> t.Iterator[NewServer]:
    """Start servers with ``new_server(*options)``; they are removed in the end."""
    if not shutil.which("redis-server"):
        reason = "There is no redis-server, so there can be no server to stop."
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    servers = []

    def start(*options: str) -> RedisServer:
        servers.append(RedisServer(*options))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.remove()


@pytest.fixture
def new_shop(tmp_path: Path) -> t.Iterator[NewShop]:
    """Make a shop with ``new_shop(url, **attributes)``; it is closed in the end."""
    shops = []

    def make(
        url: str | None, *, timeout: float | None = None, **attributes: t.Any
    ) -> Shop:
        database = f"sqlite:///{tmp_path / f'shop{len(shops)}.sqlite'}"
        shops.append(Shop(database, url, attributes, timeout))
        return shops[-1]

    yield make
    for shop in shops:
        plugin: t.Any = shop.bus.plugin_manager.get_plugin("redis")
        plugin.close(shop.app)
        with shop.app.app_context():
            shop.db.engine.dispose()


@pytest.fixture
def scripted() -> t.Iterator[NewScripted]:
    """Start servers with ``scripted(script)``."""
    servers = []

    def start(script: Script) -> ScriptedServer:
        servers.append(ScriptedServer(script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def shop(new_shop: NewShop, redis_url: str, stream: str) -> Shop:
    """Give a shop whose signals go to the stream."""
    return new_shop(redis_url, signalbus_stream=stream)


@pytest.fixture
def proxy(redis_url: str) -> t.Iterator[TcpProxy]:
    """Give a proxy before the environment's server."""
    server = redis.Redis.from_url(redis_url).connection_pool.connection_kwargs
    proxy = TcpProxy(server["host"], server["port"])
    proxy.start()
    yield proxy
    proxy.thaw()
    proxy.stop()
