"""What Kafka refuses fails alone, and the error says what to do."""

from __future__ import annotations

import typing as t

import pytest
from confluent_kafka import KafkaError
from signalbus.exceptions import BrokerTimeoutError
from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import MessageRefusedError

if t.TYPE_CHECKING:
    from conftest import Cluster
    from conftest import Shop

#: The numbers of Kafka's requests.
PRODUCE = 0
INIT_PRODUCER_ID = 22

NO_TOPIC = "signalbus-no-such-topic"

#: Topics are not created by themselves.
STRICT = {"allow.auto.create.topics": False}


def by_size(signal: t.Any) -> bytes:
    """Return as many bytes as the signal's text says."""
    return bytes(int(signal.text))


def test_a_missing_topic_is_told_within_an_autoflush(
    open_shop: t.Callable[..., Shop], cluster: Cluster, topic: str
) -> None:
    """It stops neither the signals of other topics, nor other models."""
    shop = open_shop(STRICT)
    paid = shop.declare(
        signalbus_topic=lambda signal: NO_TOPIC if signal.text == "b" else topic
    )
    shop.bus.autoflush = True
    shop.record(paid, "a", "b", "c")

    assert ["b"] == shop.pending(paid)
    assert {b"a", b"c"} == set(cluster.values(topic))
    with pytest.raises(MessageRefusedError, match="Create the topic"):
        shop.bus.flushmany()


def test_a_topic_that_is_created_later_is_found(
    open_shop: t.Callable[..., Shop], cluster: Cluster
) -> None:
    """The client alone would refuse it for minutes."""
    shop = open_shop(STRICT)
    name = f"{NO_TOPIC}-yet"
    paid = shop.declare(signalbus_topic=name)
    shop.record(paid, "a", "b")
    for _ in range(2):
        with pytest.raises(MessageRefusedError, match=f"{name!r}.* Create the topic"):
            shop.bus.flushmany()

    cluster.order("topic", name, 1, 1)

    assert 2 == shop.bus.flushmany()
    assert [b"a", b"b"] == cluster.values(name)


def test_a_topic_that_may_not_be_written_is_told(
    shop: Shop, cluster: Cluster, topic: str
) -> None:
    """Once it may be written, its signals are sent."""
    cluster.order("topic-error", topic, KafkaError.TOPIC_AUTHORIZATION_FAILED)
    paid = shop.declare(signalbus_topic=topic)
    shop.record(paid, "a")
    for _ in range(2):
        with pytest.raises(MessageRefusedError, match="Allow the user to write"):
            shop.bus.flushmany()

    cluster.order("topic-error", topic, 0)

    assert 1 == shop.bus.flushmany()


def test_a_message_that_is_too_large_fails_alone(
    shop: Shop, cluster: Cluster, topic: str
) -> None:
    """The client refuses it, by message.max.bytes."""
    paid = shop.declare(signalbus_topic=topic, signalbus_body=by_size)
    shop.record(paid, "1", "1000000", "2")

    with pytest.raises(MessageRefusedError, match=r"1,000,000 bytes.* message\.max"):
        shop.bus.flushmany()

    assert ["1000000"] == shop.pending(paid)
    assert {1, 2} == set(map(len, cluster.values(topic)))


def test_messages_wait_for_room_in_the_queue(
    open_shop: t.Callable[..., Shop], cluster: Cluster, topic: str
) -> None:
    """A burst may be larger than librdkafka's queue."""
    shop = open_shop({"queue.buffering.max.messages": 5})
    paid = shop.declare(signalbus_topic=topic)
    shop.record(paid, *map(str, range(100)))

    assert 100 == shop.bus.flushmany()
    assert 100 == len(set(cluster.values(topic)))


def test_a_message_larger_than_the_queue_fails_alone(
    open_shop: t.Callable[..., Shop], cluster: Cluster, topic: str
) -> None:
    """There will never be room for it."""
    shop = open_shop({"queue.buffering.max.kbytes": 10})
    paid = shop.declare(signalbus_topic=topic, signalbus_body=by_size)
    shop.record(paid, "1", "20000", "2")

    with pytest.raises(MessageRefusedError, match=r"queue\.buffering\.max\.kbytes"):
        shop.bus.flushmany()

    assert ["20000"] == shop.pending(paid)
    assert 2 == len(cluster.values(topic))


@pytest.mark.parametrize(
    "code", [KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD]
)
@pytest.mark.parametrize("refused", [0, 1, 4])
def test_who_is_refused_in_a_batch_is_found(
    shop: Shop, cluster: Cluster, code: int, refused: int
) -> None:
    """Kafka refuses a batch as a whole: it is sent again in ever smaller pieces.

    The mock cluster refuses requests, whatever is in them: first the whole burst of
    five, then pieces of 3, 2 and 1 messages, those that have the message in question.
    """
    topic = cluster.topic(partitions=1)
    pieces = {0: "1111", 1: "11101", 4: "10101"}[refused]
    paid = shop.declare(signalbus_topic=topic)
    shop.record(paid, "first")
    shop.bus.flushmany()
    shop.record(paid, *"01234")
    cluster.push_errors(PRODUCE, *(int(each) * code for each in pieces))

    with pytest.raises(MessageRefusedError):
        shop.bus.flushmany()

    assert [str(refused)] == shop.pending(paid)
    stored = [b"first", *(b"%d" % number for number in range(5) if number != refused)]
    assert stored == cluster.values(topic)


@pytest.mark.parametrize(
    "code",
    [
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.UNKNOWN_PRODUCER_ID,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError._TRANSPORT,  # noqa: SLF001 its public name
    ],
)
def test_what_passes_is_not_noticed(
    shop: Shop, cluster: Cluster, topic: str, code: int
) -> None:
    """The producer tries it again, and so do we."""
    paid = shop.declare(signalbus_topic=topic)
    shop.record(paid, *"abc")
    cluster.push_errors(PRODUCE, code)

    assert 3 == shop.bus.flushmany()
    assert {b"a", b"b", b"c"} == set(cluster.values(topic))


def test_a_message_may_have_a_time_limit_of_librdkafka(
    open_shop: t.Callable[..., Shop], cluster: Cluster, topic: str
) -> None:
    """It is a timeout like any other."""
    shop = open_shop({"message.timeout.ms": 1500})
    paid = shop.declare(signalbus_topic=topic)
    shop.record(paid, "a")
    shop.bus.flushmany()
    cluster.freeze()
    shop.record(paid, "b")

    with pytest.raises(BrokerTimeoutError):
        shop.bus.flushmany()


def test_a_user_who_may_not_send_at_all_finds_no_broker(
    shop: Shop, cluster: Cluster, topic: str
) -> None:
    """That is nobody's signal's fault."""
    paid = shop.declare(signalbus_topic=topic)
    shop.record(paid, "a", "b")
    cluster.push_errors(
        INIT_PRODUCER_ID, *[KafkaError.CLUSTER_AUTHORIZATION_FAILED] * 2
    )

    with pytest.raises(BrokerUnavailableError, match="Cluster authorization failed"):
        shop.bus.flushmany()

    assert ["a", "b"] == shop.pending(paid)


def test_a_producer_that_has_failed_for_good_is_replaced(
    shop: Shop, cluster: Cluster, topic: str
) -> None:
    """The burst at hand is sent by another one."""
    paid = shop.declare(signalbus_topic=topic)
    shop.record(paid, "a", "b")
    cluster.push_errors(PRODUCE, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER)

    assert 2 == shop.bus.flushmany()
    assert {b"a", b"b"} == set(cluster.values(topic))
