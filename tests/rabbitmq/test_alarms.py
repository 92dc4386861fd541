"""A broker that is killed, or takes no messages for the moment, loses none."""

from __future__ import annotations

import contextlib
import typing as t

import pytest
import signalbus_rabbitmq

if t.TYPE_CHECKING:
    from conftest import Node
    from conftest import Proxy
    from signalbus_rabbitmq import Message
    from signalbus_rabbitmq import Publisher

MakePublisher: t.TypeAlias = "t.Callable[[str], Publisher]"
MakeMessages: t.TypeAlias = "t.Callable[..., list[Message]]"
Alarm: t.TypeAlias = "t.Callable[[], t.ContextManager[None]]"


COUNT = 5000


@pytest.fixture
def alarm(node: Node) -> t.Any:
    """Raise the node's memory alarm, for as long as the context lasts."""

    @contextlib.contextmanager
    def raised() -> t.Any:
        node.control("set_vm_memory_high_watermark", "0.0000001")
        try:
            yield
        finally:
            node.control("set_vm_memory_high_watermark", "0.4")

    return raised


def test_an_alarm_ends_the_wait_in_time_and_passes(
    node: Node, publisher_to: MakePublisher, messages_to: MakeMessages, alarm: Alarm
) -> None:
    """While the alarm is on, it is named; when it is off, everything goes on."""
    queue = node.queue()
    publisher = publisher_to(node.url)
    publisher.publish_messages(messages_to(queue, 1))

    with alarm(), pytest.raises(signalbus_rabbitmq.TimeoutError, match="low on memory"):
        publisher.publish_messages(messages_to(queue, 100), timeout=4)

    publisher.publish_messages(messages_to(queue, COUNT))
    assert {b"%d" % n for n in range(COUNT)} == set(node.bodies(queue))


def test_the_url_limits_how_long_an_alarm_is_borne(
    node: Node, publisher_to: MakePublisher, messages_to: MakeMessages, alarm: Alarm
) -> None:
    """It is set by `blocked_connection_timeout`, and holds for new connections, too."""
    publisher = publisher_to(f"{node.url}?blocked_connection_timeout=0.5")

    with alarm(), pytest.raises(signalbus_rabbitmq.ConnectionError, match="low on mem"):
        publisher.publish_messages(messages_to("queue", 100), timeout=30)


def test_a_batch_goes_on_when_the_alarm_is_over(
    node: Node,
    node_proxy: Proxy,
    publisher_to: MakePublisher,
    messages_to: MakeMessages,
    alarm: Alarm,
) -> None:
    """An alarm that passes within the timeout costs nothing but time."""
    queue = node.queue()
    publisher = publisher_to(f"{node_proxy.url}?blocked_connection_timeout=30")
    publisher.publish_messages(messages_to(queue, 1))
    with contextlib.ExitStack() as stack:
        stack.enter_context(alarm())
        node_proxy.blocked = stack.close
        publisher.publish_messages(messages_to(queue, COUNT))

    assert COUNT + 1 == len(node.bodies(queue))


def test_attempts_during_an_alarm_leave_one_message_each(
    node: Node, publisher_to: MakePublisher, messages_to: MakeMessages, alarm: Alarm
) -> None:
    """What is in a socket arrives when the alarm is over: no more than one message."""
    queue = node.queue()
    with alarm():
        for _ in range(3):
            with pytest.raises(signalbus_rabbitmq.TimeoutError, match="low on memory"):
                publisher_to(node.url).publish_messages(
                    messages_to(queue, COUNT), timeout=3
                )

    publisher_to(node.url).publish_messages(messages_to(queue, COUNT))
    assert COUNT <= len(node.bodies(queue)) <= COUNT + 3


def test_nothing_is_written_while_the_broker_takes_nothing(
    node: Node,
    node_proxy: Proxy,
    publisher_to: MakePublisher,
    messages_to: MakeMessages,
    alarm: Alarm,
) -> None:
    """Of a batch that an alarm interrupts, little is on its way."""
    queue = node.queue()
    publisher = publisher_to(node_proxy.url)
    publisher.publish_messages(messages_to(queue, 1))

    with alarm(), pytest.raises(signalbus_rabbitmq.TimeoutError, match="low on memory"):
        publisher.publish_messages(messages_to(queue, 20 * COUNT), timeout=4)

    publisher.publish_messages(messages_to(queue, 1))
    assert len(node.bodies(queue)) < COUNT


def test_a_broker_killed_within_a_batch_loses_nothing(
    node: Node,
    node_proxy: Proxy,
    publisher_to: MakePublisher,
    messages_to: MakeMessages,
) -> None:
    """What was confirmed survives the restart; the failures name all the rest."""
    queue = node.queue()
    publisher = publisher_to(node_proxy.url)
    node_proxy.limit = 100_000
    node_proxy.acked = node.kill
    try:
        with pytest.raises(signalbus_rabbitmq.ConnectionError) as caught:
            publisher.publish_messages(messages_to(queue, COUNT))
    finally:
        node_proxy.limit = None
        node_proxy.acked = lambda: None
        node.start()

    failures = caught.value.failures
    assert 0 < len(failures) < COUNT
    retried = [each for each in messages_to(queue, COUNT) if int(each.body) in failures]
    publisher.publish_messages(retried)
    assert {b"%d" % n for n in range(COUNT)} == set(node.bodies(queue))
