"""A relay hears what processes announce, and knows when it does not."""

from __future__ import annotations

import contextlib
import logging
import queue
import socket
import textwrap
import threading
import time
import typing as t

import psycopg
import psycopg2
import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from signalbus import SettingError
from signalbus import SignalBus
from signalbus.stopping import StopToken
from signalbus_relay import _listener
from signalbus_relay import wake
from signalbus_relay._listener import Listeners

if t.TYPE_CHECKING:
    from flask import Flask

#: How long to wait for what must come, in seconds.
PATIENCE = 60.0

#: What a listener says when it has connected.
CONNECTED = (None, None)


def plain(url: str) -> str:
    """Return *url* as drivers take it."""
    return sa.make_url(url).set(drivername="postgresql").render_as_string(False)


def eventually(condition: t.Callable[[], object]) -> bool:
    """Wait until *condition* holds; return whether it does."""
    until = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return bool(condition())


class Relay:
    """Listens as a relay would, and keeps what wakes it."""

    def __init__(self, app: Flask, bus: SignalBus, *bind_keys: str | None) -> None:
        """Listen to some databases, by default to that of the app."""
        self.token = StopToken()
        self.wakes: queue.Queue[tuple[str | None, t.Any]] = queue.Queue()
        self.listeners = Listeners(
            app,
            bus,
            bind_keys or (None,),
            lambda *heard: self.wakes.put(heard),
            self.token,
        )
        self.listeners.start()

    def is_woken(self) -> tuple[str | None, t.Any]:
        """Wait until something wakes it, and return what that said."""
        return self.wakes.get(timeout=PATIENCE)

    def becomes(self, state: str) -> bool:
        """Wait until the listener of the app's database is in a *state*."""
        return eventually(lambda: self.listeners.states() == {"default": state})


class Pooler:
    """A way to PostgreSQL on which notifications are lost, and which may be closed."""

    def __init__(self, url: str) -> None:
        """Make a way to the server of *url*."""
        target = sa.make_url(url)
        self._target = (target.host or "127.0.0.1", target.port or 5432)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.drops = True
        self.is_closed = False
        port = self._server.getsockname()[1]
        options = {"sslmode": "disable", "gssencmode": "disable"}
        self.url = (
            target.set(host="127.0.0.1", port=port)
            .update_query_dict(options)
            .render_as_string(False)
        )
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        """Break all connections, and let nobody connect."""
        self.is_closed = True
        for each in self._sockets:
            _shut_down(each)

    def open(self) -> None:
        """Let everybody connect again."""
        self.is_closed = False

    def end(self) -> None:
        """Free what it has used."""
        self.close()
        _shut_down(self._server)
        self._acceptor.join()
        self.close()  # what it has accepted meanwhile
        for each in [self._server, *self._sockets]:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self._sockets.append(client)
            if self.is_closed:
                _shut_down(client)
                continue
            server = socket.create_connection(self._target)
            self._sockets.append(server)
            for copy in (self._copy, self._copy_answers):
                ends = (client, server) if copy == self._copy else (server, client)
                threading.Thread(target=copy, args=ends, daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        _shut_down(target)

    def _copy_answers(self, source: socket.socket, target: socket.socket) -> None:
        """Copy messages one by one, but not those of the kind A: notifications."""
        with contextlib.suppress(OSError), source.makefile("rb") as stream:
            while head := stream.read(5):
                message = head + stream.read(int.from_bytes(head[1:], "big") - 4)
                if not (self.drops and message[:1] == b"A"):
                    target.sendall(message)
        _shut_down(target)


def _shut_down(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)


@pytest.fixture(params=["psycopg", "psycopg2"])
def engine_url(request: pytest.FixtureRequest, postgresql: t.Any) -> t.Iterator[str]:
    """Give the URL of an empty database on PostgreSQL, for either driver."""
    url = sa.make_url(postgresql.url).set(drivername=f"postgresql+{request.param}")
    yield url.render_as_string(False)
    postgresql.empty()


@pytest.fixture
def pooler(engine_url: str) -> t.Iterator[Pooler]:
    """Give a way to the database of the test that loses notifications."""
    pooler = Pooler(engine_url)
    yield pooler
    pooler.end()


@pytest.fixture
def listen(
    new_app: t.Callable[..., Flask], engine_url: str
) -> t.Iterator[t.Callable[..., Relay]]:
    """Begin to listen for an app that has some settings."""
    relays = []

    def begin(url: str | None = None, **config: t.Any) -> Relay:
        app = new_app(url or engine_url, **config)
        relays.append(Relay(app, SignalBus(SQLAlchemy(app))))
        return relays[-1]

    yield begin
    for relay in relays:
        relay.token.stop()
        relay.listeners.stop()


@pytest.fixture
def execute(engine_url: str) -> t.Iterator[t.Callable[..., None]]:
    """Execute a statement in the database of the test."""
    with psycopg.connect(plain(engine_url), autocommit=True) as connection:
        yield connection.execute


def test_listener_wakes_for_all_that_it_may_have_missed(
    listen: t.Callable[..., Relay],
) -> None:
    """Once it is connected, and then it listens."""
    relay = listen()

    assert CONNECTED == relay.is_woken()
    assert relay.becomes("listening")
    assert relay.listeners.is_listening(None)


PROGRAM = textwrap.dedent(
    """
    import sys
    import sqlalchemy as sa
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus

    app = Flask("shop")
    app.config.update(SQLALCHEMY_DATABASE_URI=sys.argv[1], SIGNALBUS_AUTOFLUSH=False)
    db = SQLAlchemy(app)
    bus = SignalBus(db)

    class Greeting(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        send_signalbus_message = print

    with app.app_context():
        db.create_all()
        db.session.add(Greeting())
        db.session.commit()
    """
)


def test_commit_in_another_process_wakes_the_relay(
    listen: t.Callable[..., Relay], interpreter: t.Any, engine_url: str
) -> None:
    """It says which table has new signals."""
    relay = listen()
    assert CONNECTED == relay.is_woken()
    interpreter(PROGRAM, engine_url).communicate()

    assert (None, {"greeting"}) == relay.is_woken()


@pytest.mark.parametrize(
    ("payload", "tables"),
    [("", None), ("a,sales.b", {"a", "sales.b"}), ("grüße", {"grüße"})],
)
def test_payload_names_tables(
    listen: t.Callable[..., Relay],
    execute: t.Callable[..., None],
    payload: str,
    tables: object,
) -> None:
    """Without one, it may be any table."""
    relay = listen()
    assert CONNECTED == relay.is_woken()
    execute("SELECT pg_notify('signalbus', %s)", [payload])

    assert (None, tables) == relay.is_woken()


def test_pings_of_others_wake_nobody(
    listen: t.Callable[..., Relay], execute: t.Callable[..., None]
) -> None:
    """Each listener pings itself."""
    relay = listen()
    assert CONNECTED == relay.is_woken()
    execute("NOTIFY signalbus, 'ping:1'")
    execute("NOTIFY signalbus, 'a'")

    assert (None, {"a"}) == relay.is_woken()


def test_terminated_listener_listens_again(
    listen: t.Callable[..., Relay], execute: t.Callable[..., None]
) -> None:
    """It wakes for all that it has missed, and hears what comes."""
    relay = listen()
    assert CONNECTED == relay.is_woken()
    assert relay.becomes("listening")
    execute(
        "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND query = 'LISTEN signalbus'"
    )
    assert CONNECTED == relay.is_woken()
    execute("NOTIFY signalbus, 'a'")

    assert (None, {"a"}) == relay.is_woken()
    assert relay.becomes("listening")


def test_listener_outlives_an_outage(
    listen: t.Callable[..., Relay],
    pooler: Pooler,
    execute: t.Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log has a line when it begins, and one when it is over."""
    pooler.drops = False
    relay = listen(pooler.url)
    assert CONNECTED == relay.is_woken()
    assert relay.becomes("listening")
    pooler.close()
    assert relay.becomes("connecting")
    pooler.open()
    assert CONNECTED == relay.is_woken()
    assert relay.becomes("listening")

    lost, found = caplog.messages
    assert lost.startswith("The relay is not woken by the database 'default', and poll")
    assert "\\n" not in lost, "The further lines are the driver's advice."
    assert found == "The relay is woken by the database 'default' again."


def test_listener_behind_a_pooler_is_deaf(
    listen: t.Callable[..., Relay],
    pooler: Pooler,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says so once, with the setting that helps."""
    monkeypatch.setattr(_listener, "PING_TIMEOUT", 0.2)
    monkeypatch.setattr(_listener, "PING_INTERVAL", 0.1)
    relay = listen(pooler.url)

    assert CONNECTED == relay.is_woken()
    assert relay.becomes("deaf")
    assert CONNECTED == relay.is_woken()  # it has tried again
    assert not relay.listeners.is_listening(None)
    (line,) = caplog.messages
    assert "set SIGNALBUS_RELAY_LISTEN_URL to a URL that leads to PostgreSQL" in line


@pytest.mark.parametrize("form", ["text", "default", "key"])
def test_listener_may_have_a_url_of_its_own(
    listen: t.Callable[..., Relay],
    pooler: Pooler,
    engine_url: str,
    execute: t.Callable[..., None],
    form: str,
) -> None:
    """By which it hears, although the app's own leads through a pooler."""
    url = plain(engine_url)  # without a driver: it takes that of the app
    value = {"text": url, "default": {"default": url}, "key": {None: url}}[form]
    relay = listen(pooler.url, SIGNALBUS_RELAY_LISTEN_URL=value)
    assert relay.becomes("listening")
    assert CONNECTED == relay.is_woken()
    execute("NOTIFY signalbus, 'a'")

    assert (None, {"a"}) == relay.is_woken()


def test_url_of_another_database_is_noticed(
    listen: t.Callable[..., Relay],
    postgresql: t.Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There, nothing would ever be heard."""
    monkeypatch.setattr(_listener, "PING_TIMEOUT", 0.2)
    other = postgresql.admin_url.render_as_string(False)

    assert listen(SIGNALBUS_RELAY_LISTEN_URL=other).becomes("deaf")


def test_network_that_dies_is_noticed(
    listen: t.Callable[..., Relay],
    pooler: Pooler,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A listener that has heard, and hears no more, connects again."""
    monkeypatch.setattr(_listener, "PING_TIMEOUT", 2.0)
    monkeypatch.setattr(_listener, "PING_INTERVAL", 0.1)
    pooler.drops = False
    relay = listen(pooler.url)
    assert relay.becomes("listening")
    pooler.drops = True
    assert eventually(lambda: "Notifications have ceased to arrive." in caplog.text)
    pooler.drops = False

    assert relay.becomes("listening")


def test_driver_that_cannot_listen_is_told(
    new_app: t.Callable[..., Flask], caplog: pytest.LogCaptureFixture
) -> None:
    """The relay polls, and the log says why."""
    app = new_app(
        "postgresql+pg8000://127.0.0.1/shop",
        SQLALCHEMY_ENGINE_OPTIONS={"module": psycopg2},  # it is never called
    )
    relay = Relay(app, SignalBus(SQLAlchemy(app)))

    assert {"default": "unsupported"} == relay.listeners.states()
    assert not relay.listeners.is_listening(None)
    (line,) = caplog.messages
    assert "The driver 'pg8000' cannot listen. Use psycopg or psycopg2" in line
    relay.listeners.stop()


def test_several_databases_are_listened_to(
    new_app: t.Callable[..., Flask],
    engine_url: str,
    other_url: str,
) -> None:
    """Those on PostgreSQL; what wakes the relay has the bind key."""
    binds = {"sales": engine_url, "files": other_url}
    app = new_app(other_url, SQLALCHEMY_BINDS=binds)
    db = SQLAlchemy(app)
    bus = SignalBus(db)

    class Sale(db.Model):  # type: ignore[name-defined,misc]
        __bind_key__ = "sales"
        id = sa.Column(sa.Integer, primary_key=True)
        send_signalbus_message = print

    relay = Relay(app, bus, None, "sales", "files")
    assert {"sales"} == relay.listeners.states().keys()
    assert ("sales", None) == relay.is_woken()
    with app.app_context():
        wake(bus, [Sale])

    assert ("sales", {"sale"}) == relay.is_woken()
    relay.listeners.stop()


@pytest.mark.parametrize("by", ["token", "stop"])
def test_stopped_listener_ends(listen: t.Callable[..., Relay], by: str) -> None:
    """At once, without a line in the log."""
    before = set(threading.enumerate())
    relay = listen()
    (thread,) = (
        each
        for each in set(threading.enumerate()) - before
        if each.name == "signalbus-listener-default"
    )
    assert relay.becomes("listening")
    relay.token.stop() if by == "token" else relay.listeners.stop()
    thread.join(PATIENCE)

    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("value", "fact"),
    [
        (5, "is not the URL of a PostgreSQL database, for the bind 'default'"),
        ("postgres", "is not the URL of a PostgreSQL database"),
        ("mysql://me:secret@host/shop", "is not the URL of a PostgreSQL database"),
        ({"sales": "sqlite://"}, "has a URL for 'sales', which is not in SQLALCHEMY_"),
    ],
)
def test_wrong_url_is_refused(
    new_app: t.Callable[..., Flask], value: object, fact: str
) -> None:
    """When the app gets its bus, with the remedy, and without the password."""
    app = new_app("sqlite://", SIGNALBUS_RELAY_LISTEN_URL=value)
    with pytest.raises(SettingError) as error:
        SignalBus(SQLAlchemy(app))

    assert str(error.value).startswith(f"SIGNALBUS_RELAY_LISTEN_URL {fact}")
    assert "secret" not in str(error.value)


@pytest.fixture(autouse=True)
def _logged(caplog: pytest.LogCaptureFixture) -> None:
    """Keep the lines of the relay."""
    caplog.set_level(logging.INFO, "signalbus.relay")


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no listener think that it is deaf, only because the machine is busy."""
    monkeypatch.setattr(_listener, "PING_TIMEOUT", PATIENCE)
