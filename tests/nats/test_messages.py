"""What is published for a signal, and what cannot be."""

from __future__ import annotations

import base64
import enum
import json
import typing as t

import pytest
from signalbus import MessageRefusedError
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from conftest import Server
    from conftest import Shop
    from nats.aio.client import Client

    NewShop: t.TypeAlias = t.Callable[..., Shop]


def test_a_message_has_id_type_and_content_type(
    shop: NewShop, broker_server: Server, stream: str
) -> None:
    """They are headers; the id is the one by which NATS drops duplicates."""
    shop().send(7)

    (message,) = broker_server.messages(stream)

    assert {
        "Nats-Msg-Id": "paid:7",
        "Message-Type": "Paid",
        "Content-Type": "application/octet-stream",
    } == message.headers


def test_a_subject_may_be_a_function(
    shop_of: NewShop, broker_server: Server, stream: str
) -> None:
    """Each signal goes to its own subject, in the order of the burst."""
    shop = shop_of(broker_server.url, lambda signal: f"{stream}.{signal.id % 2}")

    shop.send(1, 2, 3)

    assert [f"{stream}.1", f"{stream}.0", f"{stream}.1"] == (
        broker_server.subjects(stream)
    )


@pytest.mark.parametrize(
    "subject",
    ["", "a b", "a.*", "a.>", ".a", "a.", "a..b", "a\r\nPING", "a\0", "x" * 1025],
)
def test_what_is_no_subject_is_refused(
    shop_of: NewShop, broker_server: Server, stream: str, subject: str
) -> None:
    """The others of the burst are sent."""
    good = f"{stream}.paid"
    shop = shop_of(broker_server.url, lambda each: subject if each.id == 2 else good)

    failures = shop.failures(1, 2, 3)

    assert {1: MessageRefusedError} == {at: type(e) for at, e in failures.items()}
    assert "subject" in str(failures[1])
    assert [b"1", b"3"] == broker_server.bodies(stream)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a b", "x"),
        ("a:b", "x"),
        ("", "x"),
        ("ä", "x"),
        ("a", "x\ny"),
        ("a", "x\r\nNats-Rollup: all"),
        ("a", "\ud800"),
        ("a", b"x"),
        ("a", None),
        ("a", True),
        (7, "x"),
    ],
)
def test_what_is_no_header_is_refused(
    shop: NewShop, broker_server: Server, stream: str, name: t.Any, value: t.Any
) -> None:
    """Headers are text; nothing is left out, or changed without a word."""
    sending = shop(
        signalbus_headers=lambda signal: {name: value} if signal.id == 2 else {}
    )

    failures = sending.failures(1, 2, 3)

    assert {1: MessageRefusedError} == {at: type(e) for at, e in failures.items()}
    assert repr(name) in str(failures[1])
    assert [b"1", b"3"] == broker_server.bodies(stream)


def test_numbers_become_text(shop: NewShop, broker_server: Server, stream: str) -> None:
    """A version need not be quoted; the member of an enum is its number."""
    color = enum.Enum("Color", "RED", type=int)["RED"]
    shop(signalbus_headers={"version": 2, "rate": 0.5, "color": color}).send(1)

    (message,) = broker_server.messages(stream)

    expected = {"version": "2", "rate": "0.5", "color": "1"}
    assert expected.items() <= message.headers.items()


def test_headers_are_utf_8(shop: NewShop, broker_server: Server, stream: str) -> None:
    """Names of cities need not be encoded."""
    shop(signalbus_headers={"city": "Łódź"}).send(1)

    async def read(client: Client, _: object) -> bytes:
        request = f"$JS.API.STREAM.MSG.GET.{stream}"
        answer = await client.request(request, b'{"seq": 1}', timeout=60)
        return base64.b64decode(json.loads(answer.data)["message"]["hdrs"])

    assert "city: Łódź\r\n" in broker_server.run(read).decode()


def test_the_models_own_headers_win_but_for_the_id(
    shop: NewShop, broker_server: Server, stream: str
) -> None:
    """NATS drops messages by the id, so nobody else may give one."""

    class Other:
        @hookimpl
        def signalbus_message_headers(
            self, signals: t.Sequence[object]
        ) -> list[dict[str, str]]:
            return [{"Nats-Msg-Id": "same", "Message-Type": "Other"} for _ in signals]

    sending = shop(signalbus_headers={"Message-Type": "shop.paid"})
    sending.bus.plugin_manager.register(Other())
    sending.send(1, 2)

    found = [(each.id, each.type) for each in broker_server.messages(stream)]

    assert [("paid:1", "shop.paid"), ("paid:2", "shop.paid")] == found


@pytest.mark.parametrize("where", ["body", "header"])
def test_a_message_that_is_too_large_is_refused(
    shop: NewShop, broker_server: Server, stream: str, where: str
) -> None:
    """NATS would close the connection; headers count."""
    large = {2: "x" * 1_048_577}
    sending = shop(
        signalbus_body=lambda signal: (
            large.get(signal.id, "") if where == "body" else ""
        ).encode(),
        signalbus_headers=lambda signal: (
            {"large": large[2]} if signal.id == 2 and where == "header" else {}
        ),
    )

    failures = sending.failures(1, 2, 3)

    assert [1] == list(failures)
    assert "max_payload" in str(failures[1])
    assert 2 == len(broker_server.messages(stream))


def test_the_largest_message_is_sent(
    shop: NewShop, broker_server: Server, stream: str
) -> None:
    """What the server takes to the last byte is not refused beforehand."""
    headers = b"NATS/1.0\r\n" + b"".join(
        [
            b"Content-Type: application/octet-stream\r\n",
            b"Message-Type: Paid\r\n",
            b"Nats-Msg-Id: paid:1\r\n\r\n",
        ]
    )
    body = b"x" * (1_048_576 - len(headers))

    shop(signalbus_body=lambda _: body).send(1)

    assert [body] == broker_server.bodies(stream)


def test_the_order_of_a_burst_is_kept(
    shop: NewShop, broker_server: Server, stream: str
) -> None:
    """However many messages are published before the first is acknowledged."""
    shop(signalbus_headers={"fill": "x" * 20_000}).send(*range(1500))

    assert [b"%d" % n for n in range(1500)] == broker_server.bodies(stream)
