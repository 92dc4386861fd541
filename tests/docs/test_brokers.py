"""What the page about brokers shows as further choices works."""

from __future__ import annotations

import asyncio
import concurrent.futures
import re
import sys
import types
import typing as t

import pytest
import sqlalchemy as sa
from signalbus import BrokerTimeoutError
from signalbus import BrokerUnavailableError
from signalbus import MessageRefusedError
from signalbus import PartialDeliveryError
from signalbus import SignalModelError
from signalbus.brokers import BrokerPlugin

if t.TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.brokers import Sender

    Answer: t.TypeAlias = concurrent.futures.Future[None]


class LostError(Exception):
    """The connection is lost."""


class RefusedError(Exception):
    """The server refuses a message."""


class Server:
    """What the clients of the library, which the page pretends to use, connect to."""

    def __init__(self) -> None:
        self.stored: list[str] = []
        self.clients: list[Client] = []
        self.refused: set[str] = set()
        self.is_silent = False


class Client:
    """A client of that library; its connection breaks when it has taken its last."""

    def __init__(self, server: Server) -> None:
        self.last: str | None = None
        self.is_open = True
        self._is_broken = False
        self._server = server
        server.clients.append(self)

    def publish(self, message_id: str, body: bytes) -> Answer:
        """Send a message, and return its answer."""
        answer: Answer = concurrent.futures.Future()
        text = body.decode()
        if self._is_broken:
            answer.set_exception(LostError("no wind"))
        elif text in self._server.refused:
            answer.set_exception(RefusedError("too heavy"))
        elif not self._server.is_silent:
            self._server.stored.append(text)
            answer.set_result(None)
            self._is_broken = text == self.last
        return answer

    def break_off(self) -> None:
        """Lose the connection."""
        self._is_broken = True

    def close(self) -> None:
        """Close it."""
        self.is_open = False


class LoopedClient:
    """A client for asyncio of that library."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def publish(self, message_id: str, body: bytes) -> None:
        """Send a message, and wait for its answer."""
        if self._server.is_silent:
            await asyncio.Event().wait()
        self._server.stored.append(body.decode())


def execute(section: str) -> dict[str, t.Any]:
    """Execute the programs of a section, and return what they define."""
    namespace: dict[str, t.Any] = {}
    for program in re.findall(
        r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL
    ):
        exec(program, namespace)  # noqa: S102 our own page
    return namespace


@pytest.fixture
def server() -> Server:
    """Give a server without messages."""
    return Server()


@pytest.fixture
def programs(
    sections: t.Callable[[str], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> dict[str, t.Any]:
    """Execute the programs of the page, and return what they define."""
    library, looped = types.ModuleType("pigeons"), types.ModuleType("pigeons.aio")
    vars(looped).update(Client=LoopedClient)
    vars(library).update(Client=Client, LostError=LostError, RefusedError=RefusedError)
    vars(library).update(aio=looped)
    monkeypatch.setitem(sys.modules, "pigeons", library)
    monkeypatch.setitem(sys.modules, "pigeons.aio", looped)
    return execute(sections("brokers")["Further choices"])


@pytest.fixture
def sender_class(programs: dict[str, t.Any]) -> t.Any:
    """Return the sender of the page."""
    return programs["PigeonSender"]


@pytest.fixture
def send(
    app: Flask, db: SQLAlchemy, bus: SignalBus, sender_class: t.Any, server: Server
) -> t.Callable[..., None]:
    """Send texts as one burst, through the sender of the page."""

    class Pigeons(BrokerPlugin):
        name = "pigeons"

        def make_sender(self, app: Flask) -> Sender:
            sender: Sender = sender_class(server)
            return sender

    class Letter(db.Model):  # type: ignore[name-defined,misc]
        signalbus_broker = "pigeons"
        id = sa.Column(sa.Integer, primary_key=True)
        text = sa.Column(sa.Text)

        @staticmethod
        def signalbus_body(signal: t.Any) -> bytes:
            body: bytes = signal.text.encode()
            return body

    bus.plugin_manager.register(Pigeons())

    def send(*texts: str) -> None:
        letters = [Letter(id=number, text=text) for number, text in enumerate(texts)]
        with app.app_context():
            bus.plugin_manager.hook.signalbus_send_burst(
                bus=bus, model=Letter, signals=letters, timeout=1.0
            )

    return send


@pytest.mark.parametrize(
    ("attributes", "refusal"),
    [
        ({}, None),
        ({"signalbus_weight": 20}, None),
        ({"signalbus_weight": "20 g"}, "a weight in grams: an integer"),
        ({"signalbus_burst_count": 501}, "500 or less"),
    ],
)
def test_models_are_checked(
    db: SQLAlchemy,
    bus: SignalBus,
    sections: t.Callable[[str], dict[str, str]],
    sender_class: object,
    attributes: dict[str, t.Any],
    refusal: str | None,
) -> None:
    """An optional attribute has a type, and a plugin refuses what it cannot send."""
    section = sections("brokers")["Further choices"]
    bus.plugin_manager.register(execute(section)["ParcelBroker"]())
    named = {"signalbus_broker": "parcels", "signalbus_box": "orders"}
    columns = {"id": sa.Column(sa.Integer, primary_key=True)}
    model = type("Parcel", (db.Model,), {**columns, **named, **attributes})

    if refusal is None:
        assert [model] == bus.get_signal_models()
    else:
        with pytest.raises(SignalModelError, match=refusal):
            bus.get_signal_models()


def test_answers_confirm_messages(send: t.Callable[..., None], server: Server) -> None:
    """Bursts go over the same connection, and are confirmed when all is stored."""
    send("a", "b")
    send("c")

    assert ["a", "b", "c"] == server.stored
    assert 1 == len(server.clients)


def test_what_is_refused_is_named(send: t.Callable[..., None], server: Server) -> None:
    """The others are confirmed."""
    server.refused.add("b")

    with pytest.raises(PartialDeliveryError) as caught:
        send("a", "b", "c")

    assert {1: MessageRefusedError} == {
        position: type(error) for position, error in caught.value.failures.items()
    }
    assert ["a", "c"] == server.stored


def test_a_connection_that_died_goes_unnoticed(
    send: t.Callable[..., None], server: Server
) -> None:
    """The burst goes over another one, and the first is closed."""
    send("a")
    server.clients[0].break_off()
    send("b")

    assert ["a", "b"] == server.stored
    assert [False, True] == [client.is_open for client in server.clients]


def test_what_was_confirmed_is_not_sent_again(
    send: t.Callable[..., None], server: Server
) -> None:
    """When the connection dies in the middle of a burst, only the rest is repeated."""
    send("a")
    server.clients[0].last = "c"
    send("b", "c", "d", "e")

    assert ["a", "b", "c", "d", "e"] == server.stored


def test_silence_is_a_timeout(send: t.Callable[..., None], server: Server) -> None:
    """A broker that does not answer is given up when the time is over."""
    server.is_silent = True

    with pytest.raises(BrokerTimeoutError):
        send("a")


def test_what_is_lost_twice_is_unavailable(
    send: t.Callable[..., None], server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new connection that is lost, too, means that the broker is down."""
    monkeypatch.setattr(Client, "publish", _lost)

    with pytest.raises(BrokerUnavailableError, match="no wind"):
        send("a")

    assert [False, False] == [client.is_open for client in server.clients]


def test_a_server_that_others_use_stands_behind_a_proxy(
    sections: t.Callable[[str], dict[str, str]], sender_class: object
) -> None:
    """Its settings name the proxy, which refuses connections until it is started."""
    shown = execute(sections("brokers")["Further choices"])["PigeonServer"]
    rest = {"attributes": lambda self: {}, "read": lambda self, attributes: []}
    server = type("PigeonServer", (shown,), rest)()
    (url,) = server.settings().values()

    assert f"{server.proxy.host}:{server.proxy.port}" == url


def _lost(client: Client, message_id: str, body: bytes) -> Answer:
    answer: Answer = concurrent.futures.Future()
    answer.set_exception(LostError("no wind"))
    return answer


def test_a_client_for_asyncio_that_is_closed_keeps_nobody_waiting(
    programs: dict[str, t.Any], server: Server
) -> None:
    """Its futures are cancelled, and it takes no more. Closing it twice is fine."""
    client = programs["LoopClient"](server)
    client.publish("letter:1", b"a").result(60)
    server.is_silent = True
    answer = client.publish("letter:2", b"b")

    client.close()
    client.close()

    with pytest.raises(concurrent.futures.CancelledError):
        answer.result(60)
    with pytest.raises(LostError):
        client.publish("letter:3", b"c")
    assert ["a"] == server.stored
