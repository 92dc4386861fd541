"""A connection that fails says why: once, in plain words, and without a password."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import threading
import typing as t

import pytest
import signalbus_rabbitmq
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from signalbus_rabbitmq import Message
from signalbus_rabbitmq._failures import describe

if t.TYPE_CHECKING:
    from pathlib import Path

    from conftest import Broker
    from conftest import Node
    from conftest import Proxy
    from signalbus_rabbitmq import Publisher

MakePublisher: t.TypeAlias = "t.Callable[[str], Publisher]"
MakeMessages: t.TypeAlias = "t.Callable[..., list[Message]]"
Reason: t.TypeAlias = "t.Callable[..., str]"
Serve: t.TypeAlias = "t.Callable[[t.Callable[[socket.socket], object]], str]"

#: What pika calls things, and what must not get into a message.
INTERNALS = ("Error", "errno", "Errno", "pika", "_state", "Probabl", "secret")

DECLARE = "flask signalbus rabbitmq declare"


@pytest.fixture
def reason(publisher_to: MakePublisher) -> Reason:
    """Publish to a URL with ``reason(url, address)``; return the text of the failure.

    It must be said once, and name the address of the broker.
    """

    def publish(url: str, address: str, **options: t.Any) -> str:
        with pytest.raises(signalbus_rabbitmq.DeliveryError) as caught:
            publisher_to(url).publish_messages([Message("", "key", b"")], **options)
        text = str(caught.value.failures[0])
        assert text.startswith(f"RabbitMQ at {address}: ")
        assert f"{text} 1 of 1 messages were not confirmed." == str(caught.value)
        assert not [word for word in INTERNALS if word in text]
        return text.removeprefix(f"RabbitMQ at {address}: ")

    return publish


@pytest.fixture
def serve() -> t.Iterator[Serve]:
    """Have each connection answered with ``serve(answer)``; return the address."""
    with contextlib.ExitStack() as stack:

        def start(answer: t.Callable[[socket.socket], object]) -> str:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            stack.callback(_shut_down, listener)
            threading.Thread(
                target=_answer_all, args=(listener, answer), daemon=True
            ).start()
            return f"127.0.0.1:{listener.getsockname()[1]}"

        yield start


def _answer_all(
    listener: socket.socket, answer: t.Callable[[socket.socket], object]
) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                answer(connection)


def _shut_down(listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def untrusted(tmp_path: Path) -> ssl.SSLContext:
    """Give what a TLS server with a certificate of its own making needs."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    pkcs8 = serialization.PrivateFormat.PKCS8
    clear = serialization.NoEncryption()
    path = tmp_path / "server.pem"
    path.write_bytes(
        key.private_bytes(pem, pkcs8, clear) + certificate.public_bytes(pem)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def test_nobody_listens(reason: Reason, free_port: int) -> None:
    """A refused connection is called that."""
    address = f"127.0.0.1:{free_port}"

    text = reason(f"amqp://user:secret@{address}/", address)

    assert "the connection was refused." == text


def test_the_host_has_no_address(reason: Reason) -> None:
    """A name that does not resolve is called unknown."""
    text = reason(
        "amqp://user:secret@no-such-host.invalid/", "no-such-host.invalid:5672"
    )

    assert text in {
        "the host name is not known.",
        "the host name could not be resolved: Temporary failure in name resolution.",
    }


def test_the_broker_does_not_answer(reason: Reason, serve: Serve) -> None:
    """The limits of the URL count, too, and are told like our own."""
    hold = threading.Event()
    address = serve(lambda _: hold.wait(30))

    text = reason(f"amqp://user:secret@{address}/?stack_timeout=0.3", address)

    hold.set()
    assert "it took too long to connect." == text


def test_the_password_is_wrong(reason: Reason, broker: Broker, proxy: Proxy) -> None:
    """RabbitMQ does not say which of the two is wrong."""
    text = reason(f"amqp://guest:secret@{proxy.address}/", proxy.address)

    assert "wrong user or password." == text


def test_the_virtual_host_is_missing(reason: Reason, proxy: Proxy) -> None:
    """The virtual host is named, with what the broker says about it."""
    text = reason(f"{proxy.url}nowhere", proxy.address)

    assert (
        "the virtual host 'nowhere' cannot be used: vhost nowhere not found. In the"
        " URL, the virtual host '/' is %2F."
    ) == text


def test_the_virtual_host_is_empty(reason: Reason, proxy: Proxy) -> None:
    """Two slashes are not the virtual host '/', and it is said how that is written."""
    text = reason(f"{proxy.url}/", proxy.address)

    assert text.startswith("the virtual host '' cannot be used: ")
    assert text.endswith(" In the URL, the virtual host '/' is %2F.")


def test_the_virtual_host_is_not_permitted(reason: Reason, node: Node) -> None:
    """A user without a permission for the virtual host is told so."""
    node.control("add_user", "stranger", "secret")
    address = f"127.0.0.1:{node.port}"

    text = reason(f"amqp://stranger:secret@{address}/", address)

    node.control("delete_user", "stranger")
    assert text.startswith("the virtual host '/' cannot be used: access to vhost '/'")
    assert "refused for user 'stranger'" in text


def test_the_broker_closes_the_connection(
    publisher_to: MakePublisher, node: Node, node_proxy: Proxy
) -> None:
    """The broker's code and text are passed on."""
    queue = node.queue()
    node_proxy.limit = 100_000
    node_proxy.acked = lambda: node.control("close_all_connections", "maintenance")
    messages = [Message("", queue, b"")] * 5000

    with pytest.raises(signalbus_rabbitmq.ConnectionError) as caught:
        publisher_to(node_proxy.url).publish_messages(messages, allow_retry=False)

    text = str(caught.value)
    assert "closed the connection: (320) CONNECTION_FORCED - maintenance." in text
    assert 1 == text.count("maintenance")


def test_the_port_is_not_that_of_a_broker(reason: Reason, serve: Serve) -> None:
    """Whoever hangs up at once is perhaps no broker."""
    address = serve(lambda connection: connection.recv(8))

    text = reason(f"amqp://user:secret@{address}/", address)

    assert text.startswith("it hung up at once")


def test_the_broker_does_not_speak_tls(reason: Reason, proxy: Proxy) -> None:
    """A URL of amqps:// at a port without TLS fails with TLS's own words."""
    text = reason(f"amqps://user:secret@{proxy.address}/", proxy.address)

    assert "TLS failed: wrong version number." == text


def test_the_certificate_is_not_trusted(
    reason: Reason, serve: Serve, untrusted: ssl.SSLContext
) -> None:
    """A certificate that nobody vouches for is refused, and that is said."""
    address = serve(lambda plain: untrusted.wrap_socket(plain, server_side=True))

    text = reason(f"amqps://user:secret@{address}/", address)

    assert text.startswith("TLS failed: the certificate is not trusted (")


def test_many_failures_of_one_reason_are_one_sentence(
    publisher_to: MakePublisher, free_port: int, messages_to: MakeMessages
) -> None:
    """What holds for all messages is not told again for the first."""
    publisher = publisher_to(f"amqp://user:secret@127.0.0.1:{free_port}/")

    with pytest.raises(signalbus_rabbitmq.ConnectionError) as caught:
        publisher.publish_messages(messages_to("queue", 3000))

    assert (
        f"RabbitMQ at 127.0.0.1:{free_port}: the connection was refused."
        " 3,000 of 3,000 messages were not confirmed."
    ) == str(caught.value)


def test_a_reason_is_not_told_again_for_the_first_message() -> None:
    """A message that failed for what ended the batch adds nothing to it."""
    error = signalbus_rabbitmq.TimeoutError("RabbitMQ at mq:5672: it was silent.")
    alone = signalbus_rabbitmq.UnconfirmedError(f"The message failed: {error} Why?")
    other = signalbus_rabbitmq.NackedError("RabbitMQ could not take the message.")

    texts = [describe({0: first}, 2, error) for first in (error, alone, other)]

    told = f"{error} 1 of 2 messages were not confirmed."
    assert [told, told, f"{told} The first: {other}"] == texts


@pytest.mark.parametrize("exchange", ["", "bound"])
def test_a_returned_message_says_what_to_do(
    exchange: str, publisher: Publisher, broker: Broker, queue: str
) -> None:
    """A queue is missing, or a binding; `declare` makes either."""
    name = exchange and broker.exchange("direct", queue, routing_key="paid")

    with pytest.raises(signalbus_rabbitmq.DeliveryError) as caught:
        publisher.publish_messages([Message(name, "no body", b"", mandatory=True)])

    remedy = (
        f" Bind a queue to the exchange: `{DECLARE} --queue NAME --bind"
        f" '{name}:no body'`."
        if name
        else f" Create the queue 'no body': `{DECLARE} --queue 'no body'`."
    )
    assert str(caught.value.failures[0]).endswith(remedy)


def test_a_missing_exchange_says_what_to_do(publisher: Publisher) -> None:
    """`declare` creates the exchanges of the models."""
    with pytest.raises(signalbus_rabbitmq.DeliveryError) as caught:
        publisher.publish_messages([Message("no.such.exchange", "key", b"")])

    assert f"`{DECLARE}`" in str(caught.value.failures[0])
