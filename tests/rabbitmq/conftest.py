"""Brokers, queues and apps for the tests of RabbitMQ.

Most tests use the broker of the environment, each with a queue of its own. Those that
kill a broker, or raise its alarms, have a ``node`` of their own; those that hurt a
connection go through a ``proxy``.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import pika
import pytest
from flask import Flask
from signalbus_rabbitmq import Consumer
from signalbus_rabbitmq import Message
from signalbus_rabbitmq import Publisher

RABBITMQ_URL = os.environ.get(
    "SIGNALBUS_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/"
)

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
CONTROL = Path("/usr/lib/rabbitmq/bin/rabbitmqctl")

BASIC_ACK = bytes.fromhex("003c0050")
HEARTBEAT = bytes.fromhex("08000000000000ce")
CONNECTION_BLOCKED = bytes.fromhex("000a003c")


#: The fixtures that need a server.
SERVERS = {"broker_server", "broker_url", "managed_node", "running_node"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that are about a broker that runs."""
    for item in items:
        if SERVERS & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.broker)


class Broker:
    """A broker as the tests see it, by a connection of their own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._undo: list[t.Callable[[t.Any], object]] = []

    @contextlib.contextmanager
    def channel(self) -> t.Iterator[t.Any]:
        """Give a new channel."""
        connection = pika.BlockingConnection(pika.URLParameters(self.url))
        with contextlib.closing(connection):
            yield connection.channel()

    def queue(self, **arguments: t.Any) -> str:
        """Declare a new durable queue and return its name."""
        name = f"signalbus.{secrets.token_hex(6)}"
        with self.channel() as channel:
            channel.queue_declare(name, durable=True, arguments=arguments)
        self._undo.append(lambda channel: channel.queue_delete(name))
        return name

    def exchange(self, kind: str, queue: str, **bindings: t.Any) -> str:
        """Declare a new exchange bound to *queue* and return its name."""
        name = f"signalbus.{secrets.token_hex(6)}"
        with self.channel() as channel:
            channel.exchange_declare(name, kind)
            channel.queue_bind(queue, name, **bindings)
        self._undo.append(lambda channel: channel.exchange_delete(name))
        return name

    def take(self, queue: str, at_least: int = 0) -> list[tuple[t.Any, bytes]]:
        """Take all messages from *queue*: their properties and bodies.

        :param at_least: how many there will be. Those of a consumer whose connection
            was lost are back as soon as the broker has noticed that.
        """
        taken = []
        with self.channel() as channel:
            deadline = time.monotonic() + 60
            # A queue counts what it has confirmed, so this many will come.
            while (count := _count(channel, queue)) < at_least:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            if count:
                for method, properties, body in channel.consume(queue):
                    taken.append((properties, body))
                    if len(taken) == count:
                        channel.basic_ack(method.delivery_tag, multiple=True)
                        break
                channel.cancel()
        return taken

    def bodies(self, queue: str, at_least: int = 0) -> list[bytes]:
        """Take the bodies of all messages from *queue*."""
        return [body for _, body in self.take(queue, at_least)]

    def clean(self) -> None:
        """Delete what was declared."""
        with self.channel() as channel:
            while self._undo:
                self._undo.pop()(channel)


def _count(channel: t.Any, queue: str) -> int:
    count: int = channel.queue_declare(queue, passive=True).method.message_count
    return count


class Node(Broker):
    """A broker that belongs to the tests: they may kill it, or raise its alarms.

    :param plugins: the names of plugins that it has.
    """

    def __init__(self, home: Path, *plugins: str) -> None:
        self.port = _free_port()
        management_port = _free_port()
        self.management_url = f"http://127.0.0.1:{management_port}"
        super().__init__(f"amqp://guest:guest@127.0.0.1:{self.port}/")
        home.joinpath("plugins").write_text(f"[{', '.join(plugins)}].")
        home.joinpath("env").touch()
        settings = ["max_message_size = 1000000"]
        if "rabbitmq_management" in plugins:
            settings.append(f"management.tcp.port = {management_port}")
        home.joinpath("node.conf").write_text("\n".join([*settings, ""]))
        self._environ = {
            **os.environ,
            "HOME": str(home),
            "RABBITMQ_NODENAME": f"signalbus-{secrets.token_hex(6)}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(_free_port()),
            "RABBITMQ_MNESIA_BASE": str(home / "data"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": str(home / "env"),
            "RABBITMQ_CONFIG_FILE": str(home / "node.conf"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1",
        }

    def start(self) -> None:
        """Start the node and return when it takes connections."""
        self._process = subprocess.Popen(  # noqa: S603 our own program
            [SERVER],
            env=self._environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 150
        while not self._answers():
            if time.monotonic() > deadline:
                self.kill()
                pytest.fail("The private RabbitMQ node did not start.")
            time.sleep(0.1)

    def kill(self) -> None:
        """End the node with no chance to say goodbye."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def control(self, *arguments: str) -> str:
        """Return what rabbitmqctl answers."""
        return subprocess.run(  # noqa: S603 our own program
            [CONTROL, "--quiet", *arguments],
            env=self._environ,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def _answers(self) -> bool:
        try:
            with self.channel():
                return True
        except pika.exceptions.AMQPError:
            return False


class Proxy:
    """A way to a broker that can be cut, blocked and watched.

    What is assigned to ``acked`` and ``blocked`` is called when the broker acknowledged
    something, or said that it takes no messages, and that was passed on. With a
    ``limit``, each connection lets only so many bytes through to the broker: enough for
    a part of a batch.
    """

    def __init__(self, url: str) -> None:
        target = pika.URLParameters(url)
        self._target = (target.host, target.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self.url = f"amqp://guest:guest@{self.address}/"
        self.accepted = 0
        self.limit: int | None = None
        self.acked: t.Callable[[], object] = lambda: None
        self.blocked: t.Callable[[], object] = lambda: None
        self._is_refusing = False
        self._rate: int | None = None
        self._latency = 0.0
        self._replacement = (b"", b"")
        self._heartbeats = threading.Semaphore(0)
        self._answering = threading.Event()
        self._answering.set()
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break all connections."""
        while self._sockets:
            broken = self._sockets.pop()
            _shut_down(broken)
            broken.close()

    def hang_up(self) -> None:
        """End all connections so that the clients get all that was sent to them.

        A connection that is broken may take with it what the client has not yet read.
        """
        for connection in self._sockets:
            _say_goodbye(connection)

    def refuse(self) -> None:
        """Break every connection as soon as it is made."""
        self._is_refusing = True

    def accept(self) -> None:
        """Take connections again."""
        self._is_refusing = False

    def throttle(self, rate: int) -> None:
        """Let only so many bytes a second through to the broker, on each connection."""
        # Else the system takes a megabyte at once, and the line does not look slow.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        self._rate = rate

    def delay(self, seconds: float) -> None:
        """Let what the broker answers arrive so much later."""
        self._latency = seconds

    def replace(self, old: bytes, new: bytes) -> None:
        """Change what the broker answers, as a plugin of the broker might."""
        self._replacement = (old, new)

    def heartbeats(self, count: int) -> bool:
        """Wait for so many heartbeats from the client; return whether they came."""
        return all(self._heartbeats.acquire(timeout=30) for _ in range(count))

    def silence(self) -> None:
        """Let nothing through from the broker, nor accept what it is to."""
        self._answering.clear()

    def unsilence(self) -> None:
        """Let everything through."""
        self._answering.set()

    def close(self) -> None:
        """Break all connections, and take no more."""
        self.unsilence()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._is_refusing:
                    client.close()
                    continue
                self.accepted += 1
                try:
                    server = socket.create_connection(self._target)
                except OSError:
                    client.close()
                else:
                    self._connect(client, server)

    def _connect(self, client: socket.socket, server: socket.socket) -> None:
        self._sockets += [client, server]
        for pump in (self._pump_requests, self._pump_answers):
            threading.Thread(target=pump, args=(client, server), daemon=True).start()

    def _pump_requests(self, client: socket.socket, server: socket.socket) -> None:
        rest = self.limit
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if self._rate:
                    time.sleep(len(data) / self._rate)
                server.sendall(data[:rest])
                for _ in range(data.count(HEARTBEAT)):
                    self._heartbeats.release()
                rest = rest and max(0, rest - len(data))
                if rest == 0:
                    return
        _shut_down(server)

    def _pump_answers(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                self._answering.wait()
                time.sleep(self._latency)
                old, new = self._replacement
                client.sendall(data.replace(old, new) if old else data)
                if BASIC_ACK in data:
                    self.acked()
                if CONNECTION_BLOCKED in data:
                    self.blocked()
        _say_goodbye(client)


def _say_goodbye(connection: socket.socket) -> None:
    """Send nothing more; what was sent arrives, whatever else still comes in."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)


def _shut_down(connection: socket.socket) -> None:
    """Shut *connection* down, if it still is one."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="session")
def broker_url() -> str:
    """Give the URL of the environment's broker, or skip the test."""
    try:
        pika.BlockingConnection(pika.URLParameters(RABBITMQ_URL)).close()
    except pika.exceptions.AMQPError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"No broker: {error!r}")
    return RABBITMQ_URL


@pytest.fixture
def broker(broker_url: str) -> t.Iterator[Broker]:
    """Give the broker; what the test declares is deleted in the end."""
    broker = Broker(broker_url)
    yield broker
    broker.clean()


@pytest.fixture
def queue(broker: Broker) -> str:
    """Give the name of an empty durable queue."""
    return broker.queue()


@pytest.fixture(scope="session")
def running_node(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Node]:
    """Give a node of the session's own."""
    if not (SERVER.exists() and shutil.which("epmd")):
        pytest.skip(f"There is no {SERVER}, so there can be no broker to kill.")
    node = Node(tmp_path_factory.mktemp("node"))
    node.start()
    yield node
    node.kill()


@pytest.fixture
def managed_node(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Node]:
    """Give a node of the test's own that has the management API."""
    if not (SERVER.exists() and shutil.which("epmd")):
        pytest.skip(f"There is no {SERVER}, so there can be no broker to manage.")
    node = Node(tmp_path_factory.mktemp("managed"), "rabbitmq_management")
    node.start()
    yield node
    node.kill()


@pytest.fixture
def node(running_node: Node) -> t.Iterator[Node]:
    """Give the node, running; what the test declares is deleted in the end."""
    yield running_node
    running_node.clean()


@pytest.fixture
def proxy(broker: Broker) -> t.Iterator[Proxy]:
    """Give a proxy to the broker."""
    proxy = Proxy(broker.url)
    yield proxy
    proxy.close()


@pytest.fixture
def node_proxy(node: Node) -> t.Iterator[Proxy]:
    """Give a proxy to the node."""
    proxy = Proxy(node.url)
    yield proxy
    proxy.close()


@pytest.fixture
def free_port() -> int:
    """Give a port at which nobody listens."""
    return _free_port()


@pytest.fixture
def publisher_to() -> t.Iterator[t.Callable[[str], Publisher]]:
    """Make publishers with ``publisher_to(url)``; they are closed in the end."""
    with contextlib.ExitStack() as stack:
        yield lambda url: stack.enter_context(
            contextlib.closing(Publisher(_app(SIGNALBUS_RABBITMQ_URL=url)))
        )


@pytest.fixture
def publisher(broker: Broker, publisher_to: t.Callable[[str], Publisher]) -> Publisher:
    """Give a publisher to the broker."""
    return publisher_to(broker.url)


@pytest.fixture
def consumer_of(broker_url: str) -> t.Callable[..., Consumer]:
    """Make consumers with ``consumer_of(queue, process, **settings)``."""

    def make(
        queue: str,
        process: t.Callable[[bytes], t.Any],
        url: str = broker_url,
        draining_mode: bool = False,
        **settings: t.Any,
    ) -> Consumer:
        class Processor(Consumer):
            def process_message(self, body: bytes, properties: t.Any) -> bool:
                return process(body)

        given = {f"SIGNALBUS_RABBITMQ_{k.upper()}": v for k, v in settings.items()}
        app = _app(SIGNALBUS_RABBITMQ_URL=url, SIGNALBUS_RABBITMQ_QUEUE=queue, **given)
        return Processor(app, draining_mode=draining_mode)

    return make


@pytest.fixture
def messages_to() -> t.Callable[..., list[Message]]:
    """Make messages with ``messages_to(queue, count)``; their bodies are numbers."""

    def make(queue: str, count: int, mandatory: bool = True) -> list[Message]:
        return [
            Message("", queue, b"%d" % number, None, mandatory)
            for number in range(count)
        ]

    return make


def _app(**config: t.Any) -> Flask:
    app = Flask("shop")
    app.config.update(config)
    return app


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return t.cast("int", listener.getsockname()[1])
