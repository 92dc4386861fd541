"""Relays in threads and in processes, and signal models that tell what was sent."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import subprocess
import sys
import threading
import time
import typing as t

import pytest
import sqlalchemy as sa
from signalbus import hookimpl
from signalbus_relay import Relay

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

#: After how many seconds something that does not happen counts as missing. The machine
#: may be busy.
BOUND = 60.0


class Wire:
    """Where the models of the tests send to."""

    def __init__(self) -> None:
        """Begin with a wire that has carried nothing."""
        #: The texts of the signals that were confirmed.
        self.sent: list[str] = []
        #: The texts of all signals that were given to a sender.
        self.tried: list[str] = []
        #: Called with every text before it is sent.
        self.on_sending: t.Callable[[str], object] = lambda text: None
        self._condition = threading.Condition()

    def carry(self, signal: Signal) -> None:
        """Send a signal, and tell those who wait for it."""
        with self._condition:
            self.tried.append(signal.text)
            self._condition.notify_all()
        try:
            self.on_sending(signal.text)
            self.sent.append(signal.text)
        finally:
            with self._condition:
                self._condition.notify_all()

    def wait_for(self, condition: t.Callable[[], object]) -> None:
        """Wait until *condition* holds, which may depend on what was sent or tried."""
        with self._condition:
            assert self._condition.wait_for(condition, BOUND), (self.sent, self.tried)

    def expect(self, *texts: str) -> None:
        """Wait until these texts were sent."""
        self.wait_for(lambda: set(texts) <= set(self.sent))


class Broker:
    """A broker plugin, for the models that name it."""

    def __init__(self, name: str, wire: Wire) -> None:
        """Carry the models that name *name* over *wire*."""
        self.name = name
        self.wire = wire

    @hookimpl
    def signalbus_send_burst(
        self, model: SignalModel, signals: t.Sequence[Signal]
    ) -> bool | None:
        """Send over the wire what is meant for this broker."""
        if getattr(model, "signalbus_broker", None) != self.name:
            return None
        for signal in signals:
            self.wire.carry(signal)
        return True


@dataclasses.dataclass
class Running:
    """A relay in a thread of its own.

    :ivar lines: what it has announced.
    :ivar status: its exit status, once it has ended.
    """

    relay: Relay
    lines: list[str] = dataclasses.field(default_factory=list)
    status: int | None = None
    is_ready: threading.Event = dataclasses.field(default_factory=threading.Event)

    def start(self) -> None:
        """Start it, and wait until it has begun."""
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.is_ready.wait(BOUND)

    def stop(self) -> int | None:
        """Stop it, and return its exit status."""
        self.relay.stop()
        self.thread.join(BOUND)
        assert not self.thread.is_alive()
        return self.status

    def _run(self) -> None:
        self.status = self.relay.run(self._announce)

    def _announce(self, line: str) -> None:
        self.lines.append(line)
        self.is_ready.set()


@pytest.fixture
def wire() -> Wire:
    """Give the wire that the models of ``new_model`` send to."""
    return Wire()


@pytest.fixture
def new_model(
    db: SQLAlchemy, bus: SignalBus, app: Flask, wire: Wire
) -> t.Callable[..., SignalModel]:
    """Declare a signal model with ``new_model(name, **attributes)``, and its table.

    It sends by itself, unless it names a broker.
    """
    bus.autoflush = False

    def make(name: str, **attributes: t.Any) -> SignalModel:
        def send_signalbus_message(cls: SignalModel, signal: Signal) -> None:
            wire.carry(signal)

        own = {"send_signalbus_message": classmethod(send_signalbus_message)}
        model: SignalModel = type(
            name,
            (db.Model,),
            {
                "id": sa.Column(sa.Integer, primary_key=True),
                "text": sa.Column(sa.String(50)),
                **({} if "signalbus_broker" in attributes else own),
                **attributes,
            },
        )
        with app.app_context():
            db.create_all()
        return model

    return make


@pytest.fixture
def new_broker(bus: SignalBus, wire: Wire) -> t.Callable[[str], Broker]:
    """Register a broker with ``new_broker(name)``."""

    def register(name: str) -> Broker:
        broker = Broker(name, wire)
        bus.plugin_manager.register(broker)
        return broker

    return register


@pytest.fixture
def record(app: Flask, db: SQLAlchemy) -> t.Callable[..., None]:
    """Make signals pending with ``record(model, *texts)``."""

    def insert(model: SignalModel, *texts: str) -> None:
        with app.app_context():
            db.session.add_all([model(text=text) for text in texts])
            db.session.commit()

    return insert


@pytest.fixture
def pending(app: Flask, bus: SignalBus) -> t.Callable[[], int]:
    """Count what is pending."""

    def count() -> int:
        return sum(bus.count_pending().values())

    return count


@pytest.fixture
def run(app: Flask) -> Iterator[t.Callable[..., Running]]:
    """Start a relay with ``run(**options)``; it is stopped at the end of the test."""
    running: list[Running] = []

    def start(**options: t.Any) -> Running:
        relay = Running(Relay(app, **{"poll": 0.2, "grace": BOUND, **options}))
        relay.start()
        running.append(relay)
        return relay

    yield start
    for relay in running:
        relay.stop()
    for thread in threading.enumerate():
        if thread.name.startswith("signalbus-relay "):  # it was left behind
            thread.join(BOUND)
            assert not thread.is_alive()


@pytest.fixture
def eventually() -> t.Callable[[t.Callable[[], object]], None]:
    """Wait until a condition holds that nobody announces, such as one of a database."""

    def wait(condition: t.Callable[[], object]) -> None:
        deadline = time.monotonic() + BOUND
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    return wait


class Proxy:
    """A way to a server that can be cut, closed and frozen."""

    def __init__(self, address: tuple[str, int]) -> None:
        """Open a port that leads to *address*."""
        self._target = address
        self._flows = threading.Event()
        self._flows.set()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._serve()

    def close(self) -> None:
        """Break all connections, and refuse new ones."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def open(self) -> None:
        """Take connections again."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._serve()

    def cut(self) -> None:
        """Break all connections."""
        while self._sockets:
            end = self._sockets.pop()
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def freeze(self) -> None:
        """Let nothing through any more, as a host that has gone."""
        self._flows.clear()

    def thaw(self) -> None:
        """Let everything through."""
        self._flows.set()

    def _serve(self) -> None:
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        listener = self._listener
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(self._target)
                self._sockets += [client, server]
                if listener.fileno() < 0:  # closed meanwhile, and what there was is cut
                    self.cut()
                    return
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flows.wait()
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(postgresql: t.Any) -> Iterator[Proxy]:
    """Give a way to the PostgreSQL server."""
    url = sa.make_url(postgresql.url)
    proxy = Proxy((url.host or "127.0.0.1", url.port or 5432))
    yield proxy
    proxy.thaw()
    with contextlib.suppress(OSError):
        proxy.close()
    postgresql.empty()


@pytest.fixture
def proxied_url(proxy: Proxy, postgresql: t.Any) -> str:
    """Give the URL of an empty database, over the proxy."""
    url = sa.make_url(postgresql.url).set(host="127.0.0.1", port=proxy.port)
    return url.render_as_string(False)


#: What a relay says if its end takes more than a moment.
WAITS = "Stopping: waiting up to "

#: An app for processes of their own. What a letter does when it is sent is its text.
SHOP = """
import os
import time

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus

app = Flask("shop")
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["SHOP_URL"]
app.config["SIGNALBUS_AUTOFLUSH"] = False
if "SHOP_RETRIES" in os.environ:
    policy = {"max_attempts": 2, "first_delay": 0.1, "jitter": 0}
    app.config["SIGNALBUS_RETRY"] = policy
db = SQLAlchemy(app)
bus = SignalBus(db)


def send(text):
    print("tries", text, flush=True)
    if text == "fails":
        raise ValueError("It fails.")
    if text == "hangs":
        time.sleep(3600)
    while text == "waits" and not os.path.exists("go on"):
        time.sleep(0.01)
    print("sent", text, flush=True)


class Letter(db.Model):
    id = sa.Column(sa.Integer, primary_key=True)
    text = sa.Column(sa.String(50))

    @classmethod
    def send_signalbus_message(cls, signal):
        send(signal.text)


class Parcel(db.Model):
    id = sa.Column(sa.Integer, primary_key=True)
    text = sa.Column(sa.String(50))
    signalbus_order_by = (sa.asc("id"),)

    @classmethod
    def send_signalbus_message(cls, signal):
        send(signal.text)


with app.app_context():
    db.create_all()
"""


class Shop:
    """The app of the processes, as the tests see it."""

    def __init__(self, folder: Path, url: str) -> None:
        """Write the app, and make its tables."""
        (folder / "shop.py").write_text(SHOP)
        self.folder = folder
        self.url = url
        self.engine = sa.create_engine(url, poolclass=sa.NullPool)
        with self.engine.begin() as connection:
            for table in ("letter", "parcel"):
                connection.exec_driver_sql(
                    f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, text VARCHAR(50))"
                )

    def record(self, *texts: str, table: str = "letter") -> None:
        """Make signals pending."""
        rows = sa.table(table, sa.column("id"), sa.column("text"))
        with self.engine.begin() as connection:
            last = connection.scalar(sa.select(sa.func.max(rows.c.id))) or 0
            values = [{"id": last + n, "text": x} for n, x in enumerate(texts, 1)]
            connection.execute(sa.insert(rows), values)

    def pending(self, table: str = "letter") -> list[str]:
        """Return the texts of what is pending."""
        query = sa.text(f"SELECT text FROM {table} ORDER BY id")  # noqa: S608 our name
        with self.engine.connect() as connection:
            return list(connection.scalars(query))


@pytest.fixture
def shop(tmp_path: Path, engine_url: str) -> Shop:
    """Give an app for processes of their own."""
    return Shop(tmp_path, engine_url)


class Process(subprocess.Popen[str]):
    """A process of `flask signalbus run`."""

    def expect(self, line: str) -> list[str]:
        """Read its output until a line that begins so, and return what was before."""
        assert self.stdout is not None
        lines = []
        for each in self.stdout:
            if each.startswith(line):
                return lines
            lines.append(each.rstrip("\n"))
        raise AssertionError((lines, line))

    def end_quietly(self, signum: int) -> tuple[int, str, str]:
        """End it, and leave out what it waits for: the machine may be busy."""
        status, out, err = self.end(signum)
        lines = err.splitlines(keepends=True)
        return status, out, "".join(line for line in lines if WAITS not in line)

    def end(self, signum: int | None = None) -> tuple[int, str, str]:
        """Send *signum*, and return how it ended. One that hangs is an error."""
        if signum is not None:
            self.send_signal(signum)
        out, err = self.communicate(timeout=BOUND)
        return self.returncode, out, err


@pytest.fixture
def started() -> Iterator[t.Callable[..., Process]]:
    """Start `flask signalbus run ARGUMENTS…` for a shop, in a process of its own.

    It does not outlive the test. *variables* are added to the environment.
    """
    pytest.importorskip("signalbus_cli")
    with contextlib.ExitStack() as stack:

        def start(
            shop: Shop, *arguments: str, url: str | None = None, **variables: str
        ) -> Process:
            command = [sys.executable, "-m", "flask", "--app", "shop", "signalbus"]
            process = Process(
                [*command, "run", *arguments],
                env={**os.environ, "SHOP_URL": url or shop.url, **variables},
                cwd=shop.folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start
