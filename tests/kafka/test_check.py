"""`flask signalbus kafka check`."""

from __future__ import annotations

import typing as t

import pytest

pytest.importorskip("signalbus_cli")

if t.TYPE_CHECKING:
    from click.testing import Result
    from conftest import Cluster
    from conftest import Shop


def check(shop: Shop, *names: str) -> Result:
    """Run the command."""
    return shop.app.test_cli_runner().invoke(
        args=["signalbus", "kafka", "check", *names]
    )


def test_what_is_there_is_ok(shop: Shop, cluster: Cluster, topic: str) -> None:
    """A topic is told with its partitions and replicas."""
    shop.declare(signalbus_topic=topic)

    result = check(shop)

    assert (
        f"Kafka at {cluster.servers}: ok (brokers: 1)\n"
        f"OrderPaid: topic {topic!r}: ok (partitions: 4, replicas of each: 1)\n"
    ) == result.output
    assert 0 == result.exit_code


def test_a_missing_topic_is_a_problem(shop: Shop, cluster: Cluster, topic: str) -> None:
    """It is not created by the question."""
    shop.declare(signalbus_topic=topic)
    shop.declare("OrderSent", signalbus_topic="signalbus-missing")

    for _ in range(2):
        result = check(shop)

        assert (
            "OrderSent: topic 'signalbus-missing': it does not exist" in result.output
        )
        assert f"OrderPaid: topic {topic!r}: ok" in result.output
        assert 1 == result.exit_code


def test_topics_of_a_function_are_not_checked(shop: Shop) -> None:
    """Nobody knows them before there are signals."""
    shop.declare(signalbus_topic=lambda signal: signal.text)

    result = check(shop)

    assert "OrderPaid: its topics: not checked" in result.output
    assert 0 == result.exit_code


def test_a_cluster_that_is_away_is_a_problem(shop: Shop, cluster: Cluster) -> None:
    """The line says why."""
    shop.declare(signalbus_topic="orders")
    cluster.stop()

    result = check(shop)

    assert f"Kafka at {cluster.servers}: it is unavailable: Connect" in result.output
    assert "Start it, or correct SIGNALBUS_KAFKA" in result.output
    assert 1 == result.exit_code


def test_a_setting_that_is_missing_or_wrong_is_a_problem(
    open_shop: t.Callable[..., Shop],
) -> None:
    """The line names it."""
    for setting, problem in (
        (None, "SIGNALBUS_KAFKA is not set"),
        ({"linger.ms": "soon", "bootstrap.servers": "h"}, "SIGNALBUS_KAFKA cannot be"),
    ):
        shop = open_shop(SIGNALBUS_KAFKA=setting)
        shop.declare(signalbus_topic="orders")

        assert problem in check(shop).output
