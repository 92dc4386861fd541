"""A cluster that is away or silent: what is sent later, and what is not."""

from __future__ import annotations

import _thread
import logging
import re
import threading
import time
import typing as t

import pytest
from signalbus.exceptions import BrokerTimeoutError
from signalbus.exceptions import BrokerUnavailableError
from signalbus_kafka import _idle

if t.TYPE_CHECKING:
    from conftest import Cluster
    from conftest import Shop


def settled(cluster: Cluster, topic: str) -> list[bytes]:
    """Return what is in *topic* when whatever was on its way has arrived."""
    cluster.values(topic)
    time.sleep(1)  # the test is about what comes too late
    return cluster.values(topic)


def send(shop: Shop, model: t.Any, timeout: float | None, *texts: str) -> None:
    """Have signals sent that are in no table, as the core does it."""
    signals = [model(id=number, text=text) for number, text in enumerate(texts)]
    shop.bus.plugin_manager.hook.signalbus_send_burst(
        bus=shop.bus, model=model, signals=signals, timeout=timeout
    )


def expect_line(caplog: pytest.LogCaptureFixture, pattern: str) -> None:
    """Wait for a line of the log."""
    deadline = time.monotonic() + 60
    while not re.search(pattern, caplog.text):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_was_not_sent_in_time_is_never_sent(
    shop: Shop, cluster: Cluster, topic: str
) -> None:
    """The rows are still there, and another flush may have sent them meanwhile."""
    paid = shop.declare(signalbus_topic=topic)
    shop.record(paid, *"abc")
    cluster.stop()
    with pytest.raises(BrokerUnavailableError):
        shop.bus.flushmany()

    cluster.start()

    assert [] == settled(cluster, topic)


def test_what_was_given_to_an_old_connection_is_not_sent_again(
    shop: Shop, cluster: Cluster, topic: str
) -> None:
    """A connection that breaks takes it along."""
    paid = shop.declare(signalbus_topic=topic)
    send(shop, paid, None, "first")
    cluster.order("latency", -1, 60_000)
    with pytest.raises(BrokerTimeoutError):
        send(shop, paid, 0.5, *"abc")
    cluster.stop()

    cluster.order("latency", -1, 0)
    cluster.start()

    assert 4 >= len(settled(cluster, topic))


def test_a_silent_cluster_gets_a_burst_once_for_all_attempts(
    shop: Shop, cluster: Cluster, topic: str
) -> None:
    """What the first attempt has written may arrive; the next ones write nothing."""
    paid = shop.declare(signalbus_topic=topic)
    send(shop, paid, None, "first")
    cluster.freeze()
    for _ in range(4):
        with pytest.raises(BrokerTimeoutError):
            send(shop, paid, 0.4, *"abc")

    cluster.thaw()

    found = settled(cluster, topic)
    assert len(found) == len(set(found))
    assert {b"first"} <= set(found) <= {b"first", b"a", b"b", b"c"}


def test_a_wait_that_is_interrupted_leaves_nothing_behind(
    shop: Shop, cluster: Cluster, topic: str
) -> None:
    """Ctrl-C rolls the rows back, so their messages must not be sent any more."""
    paid = shop.declare(signalbus_topic=topic)
    shop.record(paid, *"abc")
    cluster.stop()
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        shop.bus.flushmany()

    cluster.start()

    assert [] == settled(cluster, topic)
    assert ["a", "b", "c"] == shop.pending(paid)


def test_one_who_cannot_wait_does_not_fail_the_others(
    shop: Shop, cluster: Cluster, topic: str
) -> None:
    """All threads have one producer. Who gives up takes it away from the others."""
    paid = shop.declare(signalbus_topic=topic)
    send(shop, paid, None, "first")
    cluster.order("latency", -1, 1500)
    errors: list[BaseException] = []

    def send_patiently() -> None:
        with shop.app.app_context():
            try:
                send(shop, paid, None, *"abcdef")
            except BaseException as error:  # noqa: BLE001 the test looks at it
                errors.append(error)

    patient = threading.Thread(target=send_patiently)
    patient.start()
    with pytest.raises(BrokerTimeoutError):
        send(shop, paid, 0.5, "impatient")
    cluster.order("latency", -1, 0)
    patient.join()

    assert [] == errors
    found = settled(cluster, topic)
    assert {b"a", b"b", b"c", b"d", b"e", b"f"} <= set(found)
    assert 2 >= max(map(found.count, found))


def test_short_waits_find_a_cluster_that_is_back(
    open_shop: t.Callable[..., Shop],
    cluster: Cluster,
    topic: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An autoflush may wait for less than connecting takes: the next one goes on."""
    caplog.set_level(logging.DEBUG, "signalbus.kafka")
    shop = open_shop({"client.id": "hasty"})
    paid = shop.declare(signalbus_topic=topic)
    cluster.stop()
    for _ in range(3):
        with pytest.raises(BrokerUnavailableError):
            send(shop, paid, 0.1, "a")
    cluster.start()
    deadline = time.monotonic() + 60
    while True:
        try:
            send(shop, paid, 0.1, "b")
        except BrokerUnavailableError:
            assert time.monotonic() < deadline
        else:
            break

    # It comes again where an answer has taken longer than the wait for it.
    assert {b"b"} == set(settled(cluster, topic))
    assert 1 == len(set(re.findall(r"hasty#producer-\d+", caplog.text)))


def test_an_outage_is_told_in_plain_words(
    shop: Shop, cluster: Cluster, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One line names the cluster and the reason."""
    paid = shop.declare(signalbus_topic=topic)
    shop.record(paid, "a", "b")
    cluster.stop()
    servers = cluster.servers

    with pytest.raises(BrokerUnavailableError) as caught:
        shop.bus.flushmany()

    assert (
        f"Kafka at {servers} is unavailable:"
        f" Connect to ipv4#{servers} failed: Connection refused."
        " Start it, or correct SIGNALBUS_KAFKA."
    ) == str(caught.value)
    assert 1 == len([each for each in caplog.records if each.name == "signalbus"])


def test_a_host_that_is_unknown_is_told(open_shop: t.Callable[..., Shop]) -> None:
    """With its name, and why."""
    shop = open_shop({"bootstrap.servers": "kafka.invalid:9092"})
    paid = shop.declare(signalbus_topic="orders")
    shop.record(paid, "a")

    with pytest.raises(BrokerUnavailableError, match=r"Failed to resolve 'kafka\.inv"):
        shop.bus.flushmany()


def test_an_idle_producer_is_served(
    open_shop: t.Callable[..., Shop],
    cluster: Cluster,
    topic: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or else what librdkafka reports of an outage would fill the memory."""
    monkeypatch.setattr(_idle, "INTERVAL", 0.05)
    caplog.set_level(logging.DEBUG, "signalbus.kafka")
    shop = open_shop({"client.id": "idle"})
    paid = shop.declare(signalbus_topic=topic)
    send(shop, paid, None, "a")

    cluster.stop()

    expect_line(caplog, r"idle#producer.*Connection refused")


def test_a_cluster_that_has_come_back_and_is_silent_times_out(
    open_shop: t.Callable[..., Shop],
    cluster: Cluster,
    topic: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The client reports that connections are lost, and not that they are back."""
    monkeypatch.setattr(_idle, "INTERVAL", 0.05)
    caplog.set_level(logging.DEBUG, "signalbus.kafka")
    shop = open_shop({"client.id": "back", "debug": "broker"})
    paid = shop.declare(signalbus_topic=topic)
    send(shop, paid, None, "a")
    cluster.stop()
    expect_line(caplog, r"back#producer.* changed state UP -> DOWN")
    caplog.clear()
    cluster.start()
    expect_line(caplog, r"back#producer.* changed state \w+ -> UP")
    cluster.freeze()

    with pytest.raises(BrokerTimeoutError):
        send(shop, paid, 2, "b")
