"""A cluster that is not a mock, where ``SIGNALBUS_TEST_KAFKA_URL`` names one."""

from __future__ import annotations

import contextlib
import secrets
import typing as t

import pytest
import sqlalchemy as sa
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin import NewTopic
from signalbus.exceptions import MessageRefusedError

if t.TYPE_CHECKING:
    from conftest import Shop

    Read: t.TypeAlias = t.Callable[[str, str], list[t.Any]]


@pytest.fixture
def new_topic(real_servers: str) -> t.Iterator[str]:
    """Create a topic with three partitions; delete it in the end."""
    name = f"signalbus-{secrets.token_hex(6)}"
    admin = AdminClient({"bootstrap.servers": real_servers})
    with contextlib.suppress(KafkaException, TimeoutError):  # it may be created later
        admin.create_topics([NewTopic(name, 3, 1)])[name].result(10)
    yield name
    with contextlib.suppress(KafkaException, TimeoutError):
        admin.delete_topics([name])[name].result(10)


@pytest.fixture
def real_shop(open_shop: t.Callable[..., Shop], real_servers: str) -> Shop:
    """Give a shop that sends there."""
    return open_shop({"bootstrap.servers": real_servers})


def test_signals_of_one_key_are_in_one_partition_in_order(
    real_shop: Shop, real_servers: str, new_topic: str, read: Read
) -> None:
    """The idempotent producer keeps the order, whatever it has to repeat."""
    paid = real_shop.declare(
        signalbus_topic=new_topic,
        signalbus_ordering_key="account",
        account=sa.Column(sa.Integer),
    )
    for number in range(3000):
        real_shop.db.session.add(paid(text=str(number), account=number % 7))
    real_shop.db.session.commit()

    assert 3000 == real_shop.bus.flushmany()

    by_key: dict[bytes, list[t.Any]] = {}
    for message in read(real_servers, new_topic):
        place = (message.partition(), int(message.value()))
        by_key.setdefault(message.key(), []).append(place)
    assert 3000 == sum(map(len, by_key.values()))
    for messages in by_key.values():
        assert 1 == len({partition for partition, _ in messages})
        assert messages == sorted(messages)


def test_a_message_that_is_too_large_for_the_brokers_fails_alone(
    open_shop: t.Callable[..., Shop], real_servers: str, new_topic: str, read: Read
) -> None:
    """The brokers refuse the batch that it is in; the others are sent all the same."""
    settings = {"bootstrap.servers": real_servers, "message.max.bytes": 50_000_000}
    shop = open_shop(settings)
    paid = shop.declare(
        signalbus_topic=new_topic,
        signalbus_partition_key="one partition",
        signalbus_body=lambda signal: bytes(int(signal.text)),
    )
    shop.record(paid, *"12345", "20000000", *"6789")

    with pytest.raises(MessageRefusedError, match="20,000,000 bytes"):
        shop.bus.flushmany()

    assert ["20000000"] == shop.pending(paid)
    assert [*range(1, 10)] == [
        len(each.value()) for each in read(real_servers, new_topic)
    ]
