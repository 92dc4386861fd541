"""Clusters of several brokers, of which some are away."""

from __future__ import annotations

import typing as t

import pytest
from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import PartialDeliveryError

if t.TYPE_CHECKING:
    from conftest import Cluster
    from conftest import Shop


@pytest.fixture
def three(new_cluster: t.Callable[[int], Cluster]) -> Cluster:
    """Give a cluster with three brokers."""
    return new_cluster(3)


@pytest.fixture
def three_shop(open_shop: t.Callable[..., Shop], three: Cluster) -> Shop:
    """Give a shop that sends there, and does not wait for long."""
    servers = {"bootstrap.servers": three.servers}
    return open_shop(servers, SIGNALBUS_KAFKA_TIMEOUT=3)


def spread(three: Cluster) -> str:
    """Create a topic that has a partition on each broker."""
    topic = three.topic(partitions=3)
    for number in range(3):
        three.order("leader", topic, number, number + 1)
    return topic


def test_another_broker_takes_over(three: Cluster, three_shop: Shop) -> None:
    """The producer finds it by itself; nobody is told."""
    topic = spread(three)
    paid = three_shop.declare(
        signalbus_topic=topic, signalbus_partition_key=lambda signal: signal.text
    )
    three_shop.record(paid, *map(str, range(30)))
    three_shop.bus.flushmany()
    three.order("down", 2)
    three.order("leader", topic, 1, 3)
    three_shop.record(paid, *map(str, range(30, 60)))

    assert 30 == three_shop.bus.flushmany()
    assert {b"%d" % number for number in range(60)} == set(three.values(topic))


def test_a_partition_without_a_leader_stops_no_other(
    three: Cluster, three_shop: Shop
) -> None:
    """What goes to other partitions is confirmed, and deleted."""
    topic = spread(three)
    paid = three_shop.declare(
        signalbus_topic=topic, signalbus_partition_key=lambda signal: signal.text
    )
    three_shop.record(paid, *map(str, range(30)))
    three_shop.bus.flushmany()
    three.order("down", 2)
    three_shop.record(paid, *map(str, range(30)))

    with pytest.raises((BrokerUnavailableError, PartialDeliveryError)):
        three_shop.bus.flushmany()

    left = three_shop.pending(paid)
    assert 0 < len(left) < 30
    three.order("up", 2)
    assert len(left) == three_shop.bus.flushmany()
    assert {b"%d" % number for number in range(30)} == set(three.values(topic))


def test_one_server_is_enough_to_find_the_others(
    three: Cluster, open_shop: t.Callable[..., Shop]
) -> None:
    """Servers that are away are left out, as long as one is there."""
    first, *_ = three.servers.split(",")
    servers = f"127.0.0.1:1,{first}"
    shop = open_shop({"bootstrap.servers": servers})
    topic = spread(three)
    paid = shop.declare(signalbus_topic=topic)
    shop.record(paid, *map(str, range(30)))

    assert 30 == shop.bus.flushmany()
    assert 30 == len(three.values(topic))
