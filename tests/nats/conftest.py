"""Servers of NATS for the tests, each a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import os
import secrets
import shutil
import typing as t

import nats
import pytest
import sqlalchemy as sa
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from flask_sqlalchemy import SQLAlchemy
from signalbus import PartialDeliveryError
from signalbus import SignalBus
from signalbus.testing.servers import ProcessServer
from signalbus.testing.servers import ReceivedMessage

if t.TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask
    from nats.aio.client import Client
    from nats.js import JetStreamContext

T = t.TypeVar("T")


class Server(ProcessServer):
    """A ``nats-server`` behind a proxy; what is stored survives its restarts.

    :param folder: where it stores.
    :param config: its configuration, beside the port; by default JetStream.
    """

    def __init__(self, folder: Path, config: str = "") -> None:
        super().__init__()
        self._config = folder / "nats.conf"
        store = f'jetstream {{ store_dir: "{folder / "store"}" }}'
        lines = ["host: 127.0.0.1", f"port: {self.server_port}", config or store]
        self._config.write_text("\n".join(lines))

    def command(self) -> list[str]:
        """Return the command."""
        return [str(shutil.which("nats-server")), "-c", str(self._config)]

    @property
    def address(self) -> str:
        """Where the proxy is."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The URL for apps."""
        return f"nats://{self.address}"

    def settings(self) -> dict[str, t.Any]:
        """Return the settings of an app."""
        return {"SIGNALBUS_NATS_URL": self.url}

    def attributes(self) -> dict[str, t.Any]:
        """Add a stream."""
        return {"signalbus_subject": f"{self.add_stream()}.paid"}

    def refused_attributes(self) -> dict[str, t.Any]:
        """Return a subject that no stream takes."""
        return {"signalbus_subject": "nobody.takes.this"}

    def read(self, attributes: dict[str, t.Any]) -> list[ReceivedMessage]:
        """Read the stream of the subject."""
        return self.messages(attributes["signalbus_subject"].partition(".")[0])

    def add_stream(self, **config: t.Any) -> str:
        """Add a stream, and return its name, with which its subjects begin."""
        name = f"T{secrets.token_hex(6)}"
        config = {"subjects": [f"{name}.>"], **config}
        self.run(lambda _, js: js.add_stream(name=name, **config))
        return name

    def messages(self, stream: str) -> list[ReceivedMessage]:
        """Return what *stream* has, in its order."""

        async def read(_: Client, js: JetStreamContext) -> list[ReceivedMessage]:
            state = (await js.stream_info(stream)).state
            subscription = await js.subscribe(f"{stream}.>", ordered_consumer=True)
            found = []
            for _ in range(state.messages):
                message = await subscription.next_msg(timeout=60)
                found.append(_received(message.data, message.headers or {}))
            return found

        return self.run(read)

    def bodies(self, stream: str) -> list[bytes]:
        """Return the bodies of what *stream* has, in its order."""
        return [message.body for message in self.messages(stream)]

    def subjects(self, stream: str) -> list[str]:
        """Return the subjects of what *stream* has."""

        async def read(_: Client, js: JetStreamContext) -> list[str]:
            last = (await js.stream_info(stream)).state.last_seq
            found = [await js.get_msg(stream, seq) for seq in range(1, last + 1)]
            return [str(each.subject) for each in found]

        return self.run(read)

    def run(
        self,
        work: t.Callable[[Client, JetStreamContext], t.Awaitable[T]],
        **options: t.Any,
    ) -> T:
        """Do *work* over a connection of its own."""

        async def main() -> T:
            url = f"nats://127.0.0.1:{self.server_port}"
            client = await nats.connect(url, **options)
            try:
                return await work(client, client.jetstream())
            finally:
                await client.close()

        return asyncio.run(main())


def _received(body: bytes, headers: dict[str, str]) -> ReceivedMessage:
    return ReceivedMessage(
        body,
        headers["Nats-Msg-Id"],
        headers,
        headers.get("Message-Type"),
        headers.get("Content-Type"),
    )


class Row:
    """A signal as senders get it: its text is its number."""

    def __init__(self, number: int) -> None:
        self.id = number
        self.text = str(number)


class Shop:
    """An app with a signal model that goes to NATS.

    :param attributes: what the model declares.
    """

    def __init__(self, app: Flask, attributes: dict[str, t.Any]) -> None:
        self.app = app
        self.db = SQLAlchemy(app)
        self.bus = SignalBus(self.db)
        declared = {
            "id": sa.Column(sa.Integer, primary_key=True, autoincrement=False),
            "text": sa.Column(sa.Text, nullable=False),
            "signalbus_broker": "nats",
            "signalbus_body": staticmethod(lambda signal: signal.text.encode()),
        }
        self.model = type("Paid", (self.db.Model,), {**declared, **attributes})

    def send(self, *numbers: int, timeout: float | None = None) -> None:
        """Have the plugin send signals with these *numbers*, as the core does it."""
        with self.app.app_context():
            self.bus.plugin_manager.hook.signalbus_send_burst(
                bus=self.bus,
                model=self.model,
                signals=[Row(number) for number in numbers],
                timeout=timeout,
            )

    def failures(self, *numbers: int) -> dict[int, Exception]:
        """Send signals, and return what failed, by position."""
        with pytest.raises(PartialDeliveryError) as caught:
            self.send(*numbers)
        return caught.value.failures

    def close(self) -> None:
        """Close the connection."""
        plugin: t.Any = self.bus.plugin_manager.get_plugin("nats")
        plugin.close(self.app)

    def check(self) -> list[str]:
        """Return the lines of the check of this model."""
        plugin: t.Any = self.bus.plugin_manager.get_plugin("nats")
        with self.app.app_context():
            return [str(line) for line in plugin.check(self.bus, [self.model])]


@pytest.fixture
def shop_of(
    new_app: t.Callable[..., Flask], tmp_path: Path
) -> t.Iterator[t.Callable[..., Shop]]:
    """Make a shop with ``shop_of(url, subject, config, **attributes)``."""
    shops = []

    def make(
        url: str, subject: t.Any, config: dict[str, t.Any] | None = None, **more: t.Any
    ) -> Shop:
        database = f"sqlite:///{tmp_path / 'shop.sqlite'}"
        app = new_app(database, SIGNALBUS_NATS_URL=url, **(config or {}))
        shops.append(Shop(app, {"signalbus_subject": subject, **more}))
        return shops[-1]

    yield make
    for shop in shops:
        shop.close()


@pytest.fixture
def stream(broker_server: Server) -> str:
    """Give the name of an empty stream, with which its subjects begin."""
    return broker_server.add_stream()


@pytest.fixture
def shop(
    broker_server: Server, stream: str, shop_of: t.Callable[..., Shop]
) -> t.Callable[..., Shop]:
    """Make a shop that sends to the stream with ``shop(**attributes)``."""
    return lambda **attributes: shop_of(
        broker_server.url, f"{stream}.paid", **attributes
    )


@pytest.fixture(scope="module")
def broker_server(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Server]:
    """Give a server of the module's own."""
    with running(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
def new_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> t.Iterator[t.Callable[[str], Server]]:
    """Run a server of the test's own with ``new_server(config)``."""
    with contextlib.ExitStack() as stack:

        def run(config: str) -> Server:
            folder = tmp_path_factory.mktemp("nats")
            return stack.enter_context(running(folder, config))

        yield run


@pytest.fixture
def restricted(new_server: t.Callable[[str], Server], tmp_path: Path) -> Server:
    """Give a server with users that may not do everything.

    The stream ``Orders`` takes ``Orders.1`` and ``Orders.2``. The user ``shop`` may
    publish to the first; ``deaf`` may not subscribe to inboxes.
    """
    server = new_server(f"""
        jetstream {{ store_dir: "{tmp_path / "restricted"}" }}
        authorization {{ users: [
            {{ user: admin, password: pw }}
            {{ user: shop, password: pw, permissions {{
                publish: "Orders.1", subscribe: "_INBOX.>" }} }}
            {{ user: deaf, password: pw, permissions {{ subscribe: "nothing" }} }}
        ] }}
        no_auth_user: admin
    """)
    server.run(lambda _, js: js.add_stream(name="Orders", subjects=["Orders.*"]))
    return server


@pytest.fixture
def tls_server(
    new_server: t.Callable[[str], Server], tmp_path: Path
) -> tuple[Server, str]:
    """Give a server that insists on TLS, and where its certificate is."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    _write_certificate(key, certificate)
    server = new_server(
        f'jetstream {{ store_dir: "{tmp_path / "tls"}" }}\n'
        f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}'
    )
    return server, str(certificate)


@contextlib.contextmanager
def running(folder: Path, config: str = "") -> t.Iterator[Server]:
    """Run a server, or skip the test where there is none to run."""
    if shutil.which("nats-server") is None:
        reason = "There is no nats-server to run."
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    server = Server(folder, config)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _write_certificate(key_file: Path, certificate_file: Path) -> None:
    """Write a key, and a certificate for this host that it signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nats")])
    now = dt.datetime.now(dt.timezone.utc)
    host = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    key_file.write_bytes(key.private_bytes(*form, serialization.NoEncryption()))
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
