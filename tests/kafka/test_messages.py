"""What a message is made of, and which partition it goes to."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import typing as t
import uuid

import pytest
import sqlalchemy as sa
from signalbus import SignalBusError
from signalbus import SignalModelError
from signalbus.exceptions import MessageRefusedError
from signalbus_kafka._partition_key import key_text

if t.TYPE_CHECKING:
    from conftest import Cluster
    from conftest import Shop

EUR = enum.Enum("EUR", {"CENT": 1, "EURO": 100})
BERLIN = dt.timezone(dt.timedelta(hours=2))


def keys(cluster: Cluster, topic: str) -> dict[bytes | None, bytes | None]:
    """Return the keys of the messages in *topic*, by their bodies."""
    return {message.value(): message.key() for message in cluster.read(topic)}


def test_headers_have_the_id_the_type_and_the_content_type(
    shop: Shop, cluster: Cluster, topic: str
) -> None:
    """In this order, and before the headers of the model."""
    paid = shop.declare(
        signalbus_topic=topic,
        signalbus_content_type="text/plain",
        signalbus_headers={"shop": "Zürich", "raw": b"\xff", "none": None, "no": 7},
    )
    shop.record(paid, "a")
    shop.bus.flushmany()

    (message,) = cluster.read(topic)

    assert [
        ("message-id", b"orderpaid:1"),
        ("message-type", b"OrderPaid"),
        ("content-type", b"text/plain"),
        ("shop", "Zürich".encode()),
        ("raw", b"\xff"),
        ("none", None),
        ("no", b"7"),
    ] == message.headers()


def test_a_header_that_is_a_member_of_an_enum_is_its_number(
    shop: Shop, cluster: Cluster, topic: str
) -> None:
    """It is an integer, and is written as one."""
    color = enum.Enum("Color", "RED", type=int)["RED"]
    paid = shop.declare(signalbus_topic=topic, signalbus_headers={"color": color})
    shop.record(paid, "a")
    shop.bus.flushmany()

    (message,) = cluster.read(topic)

    assert ("color", b"1") in message.headers()


def test_no_header_replaces_the_message_id(
    shop: Shop, cluster: Cluster, topic: str
) -> None:
    """Consumers drop duplicates by it. A model may have another type."""
    own = {"message-id": "x", "message-type": "paid"}
    paid = shop.declare(signalbus_topic=topic, signalbus_headers=own)
    shop.record(paid, "a")
    shop.bus.flushmany()

    (message,) = cluster.read(topic)

    assert [
        ("message-id", b"orderpaid:1"),
        ("message-type", b"paid"),
        ("content-type", b"application/octet-stream"),
    ] == message.headers()


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"new": True}, "The header 'new' of a OrderPaid is a bool"),
        ({"list": ["a"]}, "The header 'list' of a OrderPaid is a list"),
        ({7: "seven"}, "The header 7 of a OrderPaid has a name that is not a string"),
        ({"text": "\ud800"}, "The header 'text' of a OrderPaid is not UTF-8"),
        ({"\ud800": "name"}, r"The header '\\ud800' of a OrderPaid is not UTF-8"),
    ],
    ids=["bool", "list", "name", "surrogate", "surrogate-name"],
)
def test_a_header_that_kafka_cannot_have_is_named(
    shop: Shop, topic: str, headers: dict[t.Any, t.Any], told: str
) -> None:
    """Only its signal fails."""
    paid = shop.declare(
        signalbus_topic=topic,
        signalbus_headers=lambda signal: headers if signal.text == "b" else {},
    )
    shop.record(paid, "a", "b", "c")

    with pytest.raises((TypeError, ValueError), match=told):
        shop.bus.flushmany()

    assert ["b"] == shop.pending(paid)


def test_a_topic_may_depend_on_the_signal(shop: Shop, cluster: Cluster) -> None:
    """The function gets the signal."""
    topics = {"a": cluster.topic(), "b": cluster.topic()}
    paid = shop.declare(signalbus_topic=lambda signal: topics[signal.text])
    shop.record(paid, "a", "b")
    shop.bus.flushmany()

    assert {"a": [b"a"], "b": [b"b"]} == {
        text: cluster.values(topic) for text, topic in topics.items()
    }


@pytest.mark.parametrize("topic", ["", ".", "..", "orders/paid", "über", "a" * 250])
def test_an_impossible_topic_is_refused_at_the_start(shop: Shop, topic: str) -> None:
    """The error names the model."""
    shop.declare(signalbus_topic=topic)

    with pytest.raises(SignalModelError, match=r"OrderPaid .* not the name of a topic"):
        shop.bus.get_signal_models()


def test_an_impossible_topic_of_a_signal_fails_alone(
    shop: Shop, cluster: Cluster, topic: str
) -> None:
    """It would be refused by Kafka, and by librdkafka not at all."""
    paid = shop.declare(
        signalbus_topic=lambda signal: "a/b" if signal.text == "b" else topic
    )
    shop.record(paid, "a", "b", "c")

    with pytest.raises(MessageRefusedError, match="'a/b' is not the name of a topic"):
        shop.bus.flushmany()

    assert ["b"] == shop.pending(paid)
    assert {b"a", b"c"} == set(cluster.values(topic))


@pytest.mark.parametrize("missing", [None, 7, b"orders"])
def test_a_model_without_a_topic_is_refused(shop: Shop, missing: object) -> None:
    """The error names the attribute."""
    shop.declare(signalbus_topic=missing)

    with pytest.raises(SignalModelError, match="signalbus_topic"):
        shop.bus.get_signal_models()


def test_without_a_key_messages_have_none(
    shop: Shop, cluster: Cluster, topic: str
) -> None:
    """The client spreads them over the partitions."""
    paid = shop.declare(signalbus_topic=topic)
    shop.record(paid, "a")
    shop.bus.flushmany()

    assert {b"a": None} == keys(cluster, topic)


@pytest.mark.parametrize("key", ["Zürich", "Zürich".encode()])
def test_a_model_may_have_one_key(
    shop: Shop, cluster: Cluster, topic: str, key: str | bytes
) -> None:
    """A string is encoded as UTF-8."""
    paid = shop.declare(signalbus_topic=topic, signalbus_partition_key=key)
    shop.record(paid, "a", "b")
    shop.bus.flushmany()

    assert dict.fromkeys((b"a", b"b"), "Zürich".encode()) == keys(cluster, topic)


def test_a_key_may_depend_on_the_signal(
    shop: Shop, cluster: Cluster, topic: str
) -> None:
    """The function returns a string, bytes, or nothing for a message without a key."""
    own = {"a": "k", "b": b"\xff", "c": None, "d": ""}
    paid = shop.declare(
        signalbus_topic=topic,
        signalbus_ordering_key="text",
        signalbus_partition_key=lambda signal: own[signal.text],
    )
    shop.record(paid, *own)
    shop.bus.flushmany()

    expected = {b"a": b"k", b"b": b"\xff", b"c": None, b"d": b""}
    assert expected == keys(cluster, topic)


def test_the_ordering_key_is_the_partition_key(
    shop: Shop, cluster: Cluster, topic: str
) -> None:
    """Signals of one key are in one partition, in their order."""
    paid = shop.declare(
        signalbus_topic=topic,
        signalbus_ordering_key="account",
        account=sa.Column(sa.Integer),
    )
    for number in range(30):
        account = number % 3 or None
        shop.db.session.add(paid(text=str(number), account=account))
    shop.db.session.commit()
    shop.bus.flushmany()

    by_key: dict[bytes | None, list[t.Any]] = {b"1": [], b"2": [], b"%N": []}
    for message in cluster.read(topic):
        by_key[message.key()].append((message.partition(), int(message.value() or b"")))

    assert [10, 10, 10] == [len(each) for each in by_key.values()]
    for messages in by_key.values():
        assert 1 == len({partition for partition, _ in messages})
        assert messages == sorted(messages)


def test_several_ordering_columns_are_one_key(
    shop: Shop, cluster: Cluster, topic: str
) -> None:
    """Different values never make the same key."""
    paid = shop.declare(
        signalbus_topic=topic,
        signalbus_ordering_key=("left", "right"),
        left=sa.Column(sa.String(10)),
        right=sa.Column(sa.String(10)),
    )
    values = {
        "1": ("a,b", "c"),
        "2": ("a", "b,c"),
        "3": ("a%2Cb", "c"),
        "4": ("", None),
    }
    for text, (left, right) in values.items():
        shop.db.session.add(paid(text=text, left=left, right=right))
    shop.db.session.commit()
    shop.bus.flushmany()

    assert {
        b"1": b"a%2Cb,c",
        b"2": b"a,b%2Cc",
        b"3": b"a%252Cb,c",
        b"4": b",%N",
    } == keys(cluster, topic)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (7, "7"),
        (-7, "-7"),
        (True, "True"),
        ("alice@example.com", "alice@example.com"),
        ("50 %", "50 %25"),
        (b"\xff\0", "ff00"),
        (EUR.CENT, "CENT"),
        (decimal.Decimal("1.50"), "1.5"),
        (decimal.Decimal("1.5"), "1.5"),
        (decimal.Decimal(100), "100"),
        (decimal.Decimal("1E+2"), "100"),
        (dt.date(2026, 1, 31), "2026-01-31"),
        (dt.datetime(2026, 1, 31, 12, tzinfo=BERLIN), "2026-01-31T10:00:00+00:00"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (None, "%N"),
    ],
)
def test_equal_values_have_the_same_text(value: object, text: str) -> None:
    """Whoever reads them from whichever database."""
    assert text == key_text(value)


def test_a_key_that_cannot_be_made_fails_alone(
    shop: Shop, cluster: Cluster, topic: str
) -> None:
    """So does one of another type."""
    paid = shop.declare(
        signalbus_topic=topic,
        signalbus_partition_key=lambda signal: {"a": "k", "b": 7}[signal.text],
    )
    shop.record(paid, "a", "b", "c")

    with pytest.raises((TypeError, SignalBusError, KeyError)):
        shop.bus.flushmany()

    assert ["b", "c"] == shop.pending(paid)
    assert [b"a"] == cluster.values(topic)
