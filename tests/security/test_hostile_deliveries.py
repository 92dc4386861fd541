"""A consumer survives whatever a queue delivers: one message does not stop others."""

from __future__ import annotations

import contextlib
import logging
import struct
import typing as t

import pika
import pytest
from flask import Flask
from signalbus_rabbitmq import Consumer
from signalbus_rabbitmq import TerminatedConsumption
from takers import AMQP_URL
from takers import TAKERS

if t.TYPE_CHECKING:
    from takers import Taker

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

#: What is delivered beside a good message: its properties and its body.
HOSTILE: dict[str, tuple[dict[str, t.Any], bytes]] = {
    "nothing": ({}, b""),
    "no JSON": ({"content_type": "application/json"}, b"{"),
    "no UTF-8": ({"content_type": "text/plain; charset=utf-8"}, b"\xff\xfe\x00"),
    "deep JSON": ({}, b"[" * 200_000),
    "large": ({}, b"x" * 5_000_000),
    "pickle": ({"content_type": "application/x-python-serialize"}, b"cos\nsystem\n."),
    "odd properties": (
        {
            "message_id": "\r\nX: 1",
            "type": "\x1b[2J",
            "content_encoding": "gzip",
            "expiration": "60000",
            "priority": 255,
            "timestamp": 2**62,
        },
        b"x",
    ),
    "odd headers": (
        {"headers": {"a\r\nb": "\0", "ü" * 100: [1, {"b": None}], "": b"\xff"}},
        b"x",
    ),
    "many headers": ({"headers": {f"x{n}": "v" * 50 for n in range(1500)}}, b"x"),
    "odd traces": ({"headers": {"traceparent": TRACE + "\r\n" * 100}}, b"x"),
    "long traces": (
        {"headers": {"traceparent": "0" * 50_000, "tracestate": "a=b," * 9000}},
        b"x",
    ),
    "traces of other types": (
        {"headers": {"traceparent": 1, "tracestate": [1], "baggage": {"a": 1}}},
        b"x",
    ),
    "no attempts": (
        {
            "headers": {
                "x-delivery-count": "many",
                "x-death": "nobody",
                "x-acquired-count": -1,
            }
        },
        b"x",
    ),
}


class RawHeaders(pika.BasicProperties):  # type: ignore[misc]  # pika has no types
    """Properties whose headers are bytes that no client would send."""

    def __init__(self, table: bytes) -> None:
        super().__init__()
        self.table = table

    def encode(self) -> list[bytes]:
        """Return the flag of headers, and the table."""
        flag = struct.pack(">H", pika.BasicProperties.FLAG_HEADERS)
        return [flag, struct.pack(">I", len(self.table)), self.table]


def nested(depth: int) -> bytes:
    """Return a table with a list in a list, and so on."""
    value = b""
    for _ in range(depth):
        value = b"A" + struct.pack(">I", len(value)) + value
    return b"\x01a" + value


@pytest.fixture
def taker() -> t.Iterator[Taker]:
    """Give a queue."""
    made = TAKERS["rabbitmq"]()
    try:
        place = made.__enter__()
    except Exception as error:  # noqa: BLE001 pika has several
        pytest.skip(f"No RabbitMQ: {error!r}")
    yield place
    made.__exit__(None, None, None)


def put(queue: str, *messages: tuple[t.Any, bytes]) -> None:
    """Put messages into a queue, as somebody else would."""
    connection = pika.BlockingConnection(pika.URLParameters(AMQP_URL))
    channel = connection.channel()
    for properties, body in messages:
        channel.basic_publish("", queue, body, properties)
    connection.close()


def consume(queue: str, process: t.Callable[..., bool], **options: t.Any) -> None:
    """Consume what is there."""

    class Reader(Consumer):
        process_message = process

    Reader(
        Flask("shop"),
        url=AMQP_URL,
        queue=queue,
        draining_mode=True,
        max_attempts=2,
        retry_first_delay=0.01,
        retry_max_delay=0.02,
        **options,
    ).start()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_message_is_processed_like_any_other(taker: Taker, name: str) -> None:
    """Its body arrives as bytes, undecoded; the messages around it arrive, too."""
    properties, body = HOSTILE[name]
    seen: list[bytes] = []

    def process(self: object, received: bytes, properties: t.Any) -> bool:
        seen.append(received)
        return True

    good = (pika.BasicProperties(), b"good")
    put(taker.name, good, (pika.BasicProperties(**properties), body), good)
    consume(taker.name, process)

    assert [b"good", body, b"good"] == seen


@pytest.mark.parametrize("name", HOSTILE)
def test_its_trace_is_followed_or_left(taker: Taker, name: str) -> None:
    """A decorated consumer processes it all the same."""
    traced = pytest.importorskip("signalbus_otel").traced
    properties, body = HOSTILE[name]
    seen: list[bytes] = []

    def process(self: object, received: bytes, properties: t.Any) -> bool:
        seen.append(received)
        return True

    put(taker.name, (pika.BasicProperties(**properties), body))
    consume(taker.name, traced(process))

    assert [body] == seen


def test_one_that_always_fails_stops_no_other(
    taker: Taker, caplog: pytest.LogCaptureFixture
) -> None:
    """It is rejected after its attempts, and the log stays one of ours."""

    def process(self: object, received: bytes, properties: t.Any) -> bool:
        if received != b"good":
            raise ValueError(
                f"{received!r:.200}\nERROR forged\x1b[2J amqp://a:hunter2@b"
            )
        seen.append(received)
        return True

    seen: list[bytes] = []
    good = (pika.BasicProperties(), b"good")
    bad = (pika.BasicProperties(), b"\r\nx")
    put(taker.name, bad, good, bad, good)
    with pytest.raises(TerminatedConsumption, match="2 of its messages"):
        consume(taker.name, process)
    lines = [
        line
        for record in caplog.records
        for line in logging.Formatter().format(record).splitlines()
    ]

    assert [b"good", b"good"] == seen
    assert any("forged" in line for line in lines)
    assert not [line for line in lines if line.startswith("ERROR forged")]
    assert not [line for line in lines if "\x1b" in line or "hunter2" in line]


#: Tables of headers that pika cannot read: too deep, a year that is none, a field of a
#: type that there is not, a name that is no text, one that ends too soon.
UNREADABLE = {
    "deep": nested(15_000),
    "late": b"\x01aT" + struct.pack(">Q", 2**62),
    "unknown": b"\x01aZ",
    "binary": b"\x02\xff\xfeV",
    "short": b"\x09a",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_headers_that_cannot_be_read_stop_nothing(taker: Taker, name: str) -> None:
    """Their message is processed without properties, and the others are processed."""
    seen: list[bytes] = []

    def process(self: object, received: bytes, properties: t.Any) -> bool:
        seen.append(received)
        return True

    good = (pika.BasicProperties(), b"good")
    put(taker.name, good)
    with contextlib.suppress(pika.exceptions.AMQPError):  # RabbitMQ may look, too
        put(taker.name, (RawHeaders(UNREADABLE[name]), b"bad"))
    put(taker.name, good)
    consume(taker.name, process)

    assert [b"good", b"good"] == [body for body in seen if body != b"bad"]
