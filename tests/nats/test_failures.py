"""Messages that are refused, and a NATS that cannot be used, are told apart."""

from __future__ import annotations

import asyncio
import logging
import ssl
import typing as t

import pytest
from signalbus import BrokerTimeoutError
from signalbus import BrokerUnavailableError
from signalbus import MessageRefusedError

if t.TYPE_CHECKING:
    from conftest import Server
    from conftest import Shop
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js import JetStreamContext

    NewShop: t.TypeAlias = t.Callable[..., Shop]
    NewServer: t.TypeAlias = t.Callable[..., Server]


def test_a_subject_that_no_stream_takes_is_refused(
    shop_of: NewShop, broker_server: Server, stream: str
) -> None:
    """The error has the command that adds a stream; the others are sent."""
    good = f"{stream}.paid"
    shop = shop_of(broker_server.url, lambda each: "a.b" if each.id == 2 else good)

    failures = shop.failures(1, 2, 3)

    assert {1: MessageRefusedError} == {at: type(e) for at, e in failures.items()}
    assert "`nats stream add A --subjects a.b --defaults`" in str(failures[1])
    assert [b"1", b"3"] == broker_server.bodies(stream)


@pytest.mark.parametrize(
    "limit",
    [
        {"max_msgs": 2},
        {"max_bytes": 300},
    ],
)
def test_a_full_stream_refuses(
    shop_of: NewShop, broker_server: Server, limit: dict[str, t.Any]
) -> None:
    """If it discards what is new. What it has taken is confirmed."""
    stream = broker_server.add_stream(discard="new", **limit)

    failures = shop_of(broker_server.url, f"{stream}.paid").failures(1, 2, 3, 4)

    assert {MessageRefusedError} == set(map(type, failures.values()))
    assert "maximum" in str(failures[3])
    assert 4 - len(failures) == len(broker_server.messages(stream)) > 0


def test_what_is_too_large_for_the_stream_is_refused(
    shop_of: NewShop, broker_server: Server
) -> None:
    """A stream may have a limit below that of the server."""
    stream = broker_server.add_stream(max_msg_size=1000)
    shop = shop_of(
        broker_server.url,
        f"{stream}.paid",
        signalbus_body=lambda signal: b"x" * (2000 if signal.id == 2 else 1),
    )

    failures = shop.failures(1, 2, 3)

    assert {1: MessageRefusedError} == {at: type(e) for at, e in failures.items()}
    assert "size" in str(failures[1])


def test_what_the_stream_did_not_expect_is_refused(shop: NewShop, stream: str) -> None:
    """A model may state what it expects in headers of NATS's own."""
    expected = {1: stream, 2: "another"}
    sending = shop(
        signalbus_headers=lambda each: {"Nats-Expected-Stream": expected[each.id]}
    )

    failures = sending.failures(1, 2)

    assert {1: MessageRefusedError} == {at: type(e) for at, e in failures.items()}
    assert "expected stream does not match" in str(failures[1])


def test_a_reply_of_something_else_is_no_confirm(
    shop_of: NewShop, broker_server: Server
) -> None:
    """A service that replies to what it gets does not store it."""
    shop = shop_of(broker_server.url, "service.paid")

    async def send(client: Client, _: JetStreamContext) -> dict[int, Exception]:
        async def reply(message: Msg) -> None:
            await message.respond(b'{"status": "ok"}')

        await client.subscribe("service.paid", cb=reply)
        await client.flush()
        return await asyncio.to_thread(shop.failures, 1)

    failures = broker_server.run(send)

    assert isinstance(failures[0], MessageRefusedError)
    assert "not a stream" in str(failures[0])


def test_a_stream_that_confirms_nothing_times_out(
    shop_of: NewShop, broker_server: Server
) -> None:
    """Nothing can be known of a message without a confirm; the check tells why."""
    stream = broker_server.add_stream(no_ack=True)
    timeout = {"SIGNALBUS_NATS_TIMEOUT": 2}
    shop = shop_of(broker_server.url, f"{stream}.paid", timeout)

    with pytest.raises(BrokerTimeoutError):
        shop.send(1)

    assert "confirms nothing (no_ack)" in " ".join(shop.check())


def test_nats_without_jetstream_is_unavailable(
    new_server: NewServer, shop_of: NewShop
) -> None:
    """That no stream takes the subject is then nothing about the message."""
    server = new_server("max_payload: 1000")
    shop = shop_of(server.url, "orders.paid")

    with pytest.raises(BrokerUnavailableError, match="JetStream is not enabled"):
        shop.send(1, 2)

    assert "-js" in " ".join(shop.check())


def test_an_account_without_jetstream_is_unavailable(
    new_server: NewServer, shop_of: NewShop, tmp_path: t.Any
) -> None:
    """JetStream may be on for some accounts, and off for others."""
    server = new_server(
        f'jetstream {{ store_dir: "{tmp_path}" }}\n'
        "accounts { A { jetstream: enabled }, B { users: [{user: b, password: pw}] } }"
    )
    shop = shop_of(f"nats://b:pw@{server.address}", "orders.paid")

    with pytest.raises(BrokerUnavailableError, match="JetStream is not enabled"):
        shop.send(1, 2)


def test_an_account_that_has_used_its_storage_is_unavailable(
    new_server: NewServer, shop_of: NewShop, tmp_path: t.Any
) -> None:
    """No message would be stored, whatever it is."""
    server = new_server(
        f'jetstream {{ store_dir: "{tmp_path}" }}\n'
        "accounts { A {"
        " jetstream { max_file: 1000 }, users: [{user: a, password: b}] } }\n"
        "no_auth_user: a"
    )
    stream = server.add_stream()
    shop = shop_of(server.url, f"{stream}.paid", signalbus_body=lambda _: b"x" * 400)

    failures = shop.failures(1, 2, 3, 4, 5)

    assert {BrokerUnavailableError} == set(map(type, failures.values()))


@pytest.mark.parametrize("login", ["", "shop:wrong@", "token@"])
def test_a_wrong_login_is_unavailable(
    new_server: NewServer, shop_of: NewShop, login: str
) -> None:
    """The error says what is wrong, and shows no password."""
    server = new_server("authorization { user: shop, password: secret }")
    shop = shop_of(f"nats://{login}{server.address}", "orders.paid")

    with pytest.raises(BrokerUnavailableError, match="refused the login") as caught:
        shop.send(1)

    assert "wrong" not in str(caught.value)
    assert not isinstance(caught.value, BrokerTimeoutError)


@pytest.mark.parametrize(
    ("config", "login"),
    [
        ("user: shop, password: 'a:b@c/d e%'", "shop:a%3Ab%40c%2Fd%20e%25"),
        ("token: 'se cret'", "se%20cret"),
    ],
)
def test_a_login_is_percent_encoded(
    new_server: NewServer, shop_of: NewShop, tmp_path: t.Any, config: str, login: str
) -> None:
    """As in any URL: special characters would end it, or part of it."""
    server = new_server(
        f'jetstream {{ store_dir: "{tmp_path}" }}\nauthorization {{ {config} }}'
    )
    shop = shop_of(f"nats://{login}@{server.address}", "orders.paid")

    assert "JetStream: ok" in shop.check()


def test_a_subject_that_the_user_must_not_publish_to_is_refused(
    restricted: Server, shop_of: NewShop
) -> None:
    """NATS replies nothing to such a message, and tells the connection."""
    shop = shop_of(
        f"nats://shop:pw@{restricted.address}",
        lambda signal: f"Orders.{signal.id}",
    )

    failures = shop.failures(1, 2)

    assert {1: MessageRefusedError} == {at: type(e) for at, e in failures.items()}
    assert "must not publish to 'Orders.2'" in str(failures[1])


def test_what_may_not_be_checked_is_no_problem(
    restricted: Server, shop_of: NewShop
) -> None:
    """A user who may only publish can send."""
    shop = shop_of(f"nats://shop:pw@{restricted.address}", "Orders.1")

    assert ["not checked" in line for line in shop.check()] == [False, True, True]


def test_a_user_who_gets_no_replies_is_told(
    restricted: Server, shop_of: NewShop
) -> None:
    """Without the inbox, no confirm would ever arrive."""
    shop = shop_of(f"nats://deaf:pw@{restricted.address}", "Orders.1")

    with pytest.raises(BrokerUnavailableError, match="inbox_prefix") as caught:
        shop.send(1)

    assert not isinstance(caught.value, BrokerTimeoutError)


def test_a_server_without_tls_is_refused(
    shop_of: NewShop, broker_server: Server
) -> None:
    """The URL asks for it, so nothing is sent in the clear."""
    shop = shop_of(f"tls://{broker_server.address}", "orders.paid")

    with pytest.raises(BrokerUnavailableError, match="does not offer TLS"):
        shop.send(1)


def test_tls_needs_a_certificate_that_is_trusted(
    tls_server: tuple[Server, str], shop_of: NewShop
) -> None:
    """Which may be one of the app's own."""
    server, certificate = tls_server
    url = f"tls://{server.address}"

    with pytest.raises(BrokerUnavailableError, match="certificate is not trusted"):
        shop_of(url, "orders.paid").send(1)

    trusting = ssl.create_default_context(cafile=certificate)
    options = {"SIGNALBUS_NATS_OPTIONS": {"tls": trusting}}
    assert "JetStream: ok" in shop_of(url, "orders.paid", options).check()


def test_a_lost_tls_connection_logs_nothing(
    tls_server: tuple[Server, str], shop_of: NewShop, caplog: pytest.LogCaptureFixture
) -> None:
    """The loop of nats-py warns of TLS connections that end, and would print that."""
    server, certificate = tls_server
    trusting = ssl.create_default_context(cafile=certificate)
    options = {"SIGNALBUS_NATS_OPTIONS": {"tls": trusting}}
    shop = shop_of(f"tls://{server.address}", "orders.paid", options)
    assert "JetStream: ok" in shop.check()

    server.stop()

    with pytest.raises(BrokerUnavailableError):
        shop.send(1)
    assert [] == caplog.records


def test_what_is_not_nats_is_unavailable(shop_of: NewShop) -> None:
    """The port of another service hangs up, or says something else."""

    async def serve(answer: bytes) -> str:
        async def answer_and_hang_up(
            _: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            writer.write(answer)
            writer.close()

        server = await asyncio.start_server(answer_and_hang_up, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        shop = shop_of(f"nats://127.0.0.1:{port}", "orders.paid")
        with pytest.raises(BrokerUnavailableError) as caught:
            await asyncio.to_thread(shop.send, 1)
        server.close()
        return str(caught.value)

    for answer in (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"INFO {}\r\n"):
        assert "not the port of NATS" in asyncio.run(serve(answer))


def test_an_unknown_host_is_unavailable(shop_of: NewShop) -> None:
    """The name is resolved while others may send."""
    shop = shop_of("nats://nats.invalid", "orders.paid")

    with pytest.raises(BrokerUnavailableError, match="host name") as caught:
        shop.send(1)

    assert "nats.invalid:4222" in str(caught.value)


def test_all_servers_are_named(shop_of: NewShop) -> None:
    """With what is wrong with each."""
    shop = shop_of("nats://a:b@127.0.0.1:1,nats://localhost:2", "orders.paid")

    with pytest.raises(BrokerUnavailableError) as caught:
        shop.send(1)

    assert "127.0.0.1:1: the connection was refused" in str(caught.value)
    assert "localhost:2: the connection was refused" in str(caught.value)


def test_failures_log_nothing_by_themselves(
    shop_of: NewShop, broker_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever sends gets the error; nats-py and asyncio add nothing to it."""
    caplog.set_level(logging.INFO)
    shop = shop_of(broker_server.url, "nobody.takes.this")
    shop.failures(1)
    broker_server.stop()

    with pytest.raises(BrokerUnavailableError):
        shop.send(1)

    broker_server.start()
    assert [] == caplog.records
