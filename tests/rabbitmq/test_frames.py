"""Messages are written as AMQP frames, byte for byte as pika would write them."""

from __future__ import annotations

import datetime as dt
import math
import typing as t

import pika
import pytest
from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st
from pika import frame
from pika import spec
from signalbus_rabbitmq import Message
from signalbus_rabbitmq import MessageProperties
from signalbus_rabbitmq._frames import FrameEncoder

CHANNEL = 1
FRAME_MAX = 4096
BODY_MAX = FRAME_MAX - 8

names = st.none() | st.text(max_size=20)
headers = st.dictionaries(
    st.text(max_size=10),
    st.integers(-(2**40), 2**40) | st.text() | st.booleans() | st.binary(),
    max_size=3,
)
properties = st.builds(
    MessageProperties,
    content_type=names,
    content_encoding=names,
    headers=st.none() | headers,
    delivery_mode=st.sampled_from([None, 1, 2]),
    priority=st.none() | st.integers(0, 9),
    correlation_id=names,
    reply_to=names,
    expiration=names,
    message_id=names,
    timestamp=st.none() | st.integers(0, 2**40),
    type=names,
    user_id=names,
    app_id=names,
    cluster_id=names,
)
messages = st.builds(
    Message,
    exchange=st.text(max_size=20),
    routing_key=st.text(max_size=20),
    body=st.binary(max_size=50) | st.integers(0, 3 * BODY_MAX).map(bytes),
    properties=properties,
    mandatory=st.booleans(),
)


def encode(message: t.Any) -> t.Any:
    """Encode one message, with nothing to spare from others."""
    return FrameEncoder(CHANNEL, FRAME_MAX).encode(message)


def as_pika(message: t.Any) -> t.Any:
    """Encode *message* by pika's own frames."""
    publish = spec.Basic.Publish(
        exchange=message.exchange,
        routing_key=message.routing_key,
        mandatory=message.mandatory,
    )
    count = math.ceil(len(message.body) / BODY_MAX)
    frames = [
        frame.Method(CHANNEL, publish),
        frame.Header(CHANNEL, len(message.body), message.properties),
        *(
            frame.Body(CHANNEL, message.body[i * BODY_MAX : (i + 1) * BODY_MAX])
            for i in range(count)
        ),
    ]
    return b"".join(each.marshal() for each in frames)


@example([Message("x", "key", b"", MessageProperties(headers=h)) for h in (None, {})])
@given(st.lists(messages, max_size=5))
def test_frames_are_what_pika_would_write(batch: list[Message]) -> None:
    """What is spared between the messages of a batch does not show."""
    encoder = FrameEncoder(CHANNEL, FRAME_MAX)

    assert [as_pika(each) for each in batch] == [encoder.encode(each) for each in batch]


def test_messages_may_share_their_properties() -> None:
    """The same properties object, with the same headers, serves many messages."""
    shared = MessageProperties(headers={"a": 1}, message_id="7")
    encoder = FrameEncoder(CHANNEL, FRAME_MAX)
    batch = [Message("x", "key", b"%d" % number, shared) for number in range(3)]

    assert [as_pika(each) for each in batch] == [encoder.encode(each) for each in batch]


def test_a_message_without_properties_is_persistent() -> None:
    """What nobody said anything about survives a restart of the broker."""
    persistent = Message("x", "key", b"body", MessageProperties(delivery_mode=2))

    assert encode(persistent) == encode(Message("x", "key", b"body"))


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (Message("x", "key", "text"), "body"),
        (Message("x", "key", bytearray(b"1")), "body"),
        (Message("x", None, b""), "routing key"),
        (Message(7, "key", b""), "exchange"),
        (Message("x", "key", b"", {"type": "T"}), "properties"),
        (Message("x", "key", b"", MessageProperties(message_id=7)), "message id"),
    ],
)
def test_wrong_types_are_named(message: t.Any, name: str) -> None:
    """A message of wrong types is a TypeError that says which part it is."""
    with pytest.raises(TypeError, match=name):
        encode(message)


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (Message("x", "ä" * 128, b""), "routing key"),
        (Message("x" * 256, "key", b""), "exchange"),
        (Message("x", "key", b"", MessageProperties(message_id="i" * 256)), "id"),
        (Message("x", "key", b"", MessageProperties(app_id="i" * 256)), "properties"),
        (Message("x", "key", b"", MessageProperties(priority=256)), "properties"),
        (Message("x", "key", b"", MessageProperties(type=["T"])), "properties"),
        (Message("x", "key", b"", MessageProperties(headers={"h": 0.5})), "properties"),
        (
            Message("x", "key", b"", MessageProperties(headers={"h": "v" * FRAME_MAX})),
            "properties",
        ),
    ],
)
def test_what_amqp_cannot_carry_is_named(message: t.Any, name: str) -> None:
    """A message that does not fit into AMQP is a ValueError that says which part."""
    with pytest.raises(ValueError, match=name):
        encode(message)


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        (
            {"id": 1, "weight": 2.5},
            r"header 'weight' is 2\.5 \(float\)\. A header can be",
        ),
        ({"a": {"b": [1, {2}]}}, r"header 'a' contains \{2\} \(set\)\. A"),
        ({"i": 2**64}, r"header 'i' is 18446744073709551616 \(int\): .* too large"),
        ({7: 1}, r"the name of a header is 7 \(int\)\. A"),
        (
            {"k" * 256: 1},
            r"a header is 'kkk.* \(str\), which has more than 255 bytes\.",
        ),
        ("abc", r"headers is 'abc' \(str\)\."),
    ],
)
def test_the_header_that_amqp_cannot_carry_is_named(headers: t.Any, says: str) -> None:
    """The error has its name, its value and its type, and what would be right."""
    with pytest.raises(ValueError, match=says):
        encode(Message("x", "key", b"", MessageProperties(headers=headers)))


def test_the_property_that_amqp_cannot_carry_is_named() -> None:
    """It is not for the user to find out which it was."""
    with pytest.raises(ValueError, match=r"priority is 256 \(int\): .* 255\.$"):
        encode(Message("x", "key", b"", MessageProperties(app_id="a", priority=256)))


def test_headers_may_have_all_types_that_amqp_has() -> None:
    """Dates, lists and nested tables go as pika sends them."""
    values = {"when": dt.datetime.now(dt.timezone.utc), "list": [1], "table": {"a": ""}}
    message = Message("x", "key", b"", pika.BasicProperties(headers=values))

    assert as_pika(message) == encode(message)
