"""Whatever happens to the connection, the publisher says what arrived, in time."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

import pika
import pytest
import signalbus_rabbitmq
from signalbus import BrokerUnavailableError
from signalbus_rabbitmq import DeliveryError

if t.TYPE_CHECKING:
    from conftest import Broker
    from conftest import Node
    from conftest import Proxy
    from signalbus_rabbitmq import Message
    from signalbus_rabbitmq import Publisher

MakePublisher: t.TypeAlias = "t.Callable[[str], Publisher]"
MakeMessages: t.TypeAlias = "t.Callable[..., list[Message]]"
Catch: t.TypeAlias = "t.Callable[..., DeliveryError]"


COUNT = 5000

#: How many bytes a proxy lets through: some of the messages, and never all.
LIMIT = 100_000


@pytest.fixture
def caught(messages_to: MakeMessages) -> t.Any:
    """Publish with ``caught(publisher, queue, **options)`` and return the error."""

    def publish(
        publisher: Publisher, queue: str = "queue", count: int = 3, **options: t.Any
    ) -> None:
        with pytest.raises(DeliveryError) as caught:
            publisher.publish_messages(messages_to(queue, count), **options)
        return caught.value

    return publish


@pytest.fixture
def silent_port() -> t.Any:
    """Give a port where connections are taken, and nothing is said."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def full_port() -> t.Any:
    """Give a port where connections are not even taken, for many are waiting."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.listen(0)
        for _ in range(2):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_an_unreachable_broker_is_named(
    publisher_to: MakePublisher, free_port: int, caught: Catch
) -> None:
    """Nobody listens: the error has host, port and reason; core knows its kind."""
    publisher = publisher_to(f"amqp://user:secret@127.0.0.1:{free_port}/")

    error = caught(publisher)

    assert isinstance(error, signalbus_rabbitmq.ConnectionError)
    assert isinstance(error, BrokerUnavailableError)
    assert f"127.0.0.1:{free_port}: the connection was refused" in str(error)
    assert [0, 1, 2] == list(error.failures)


def test_an_unknown_host_is_named(publisher_to: MakePublisher, caught: Catch) -> None:
    """A name that does not resolve is an error like any other."""
    error = caught(publisher_to("amqp://user:secret@no-such-host.invalid/"))

    assert isinstance(error, signalbus_rabbitmq.ConnectionError)
    assert "no-such-host.invalid:5672" in str(error)


def test_a_wrong_password_is_not_shown(
    publisher_to: MakePublisher, broker: Broker, caught: Catch
) -> None:
    """The broker refuses; the error says so without saying the password."""
    error = caught(publisher_to(broker.url.replace("guest:guest", "guest:secret")))

    assert "wrong user or password" in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize("fixture", ["silent_port", "full_port"])
def test_a_silent_broker_is_given_up_in_time(
    publisher_to: MakePublisher,
    fixture: str,
    request: pytest.FixtureRequest,
    caught: Catch,
) -> None:
    """A host that does not answer, or never gets to it, costs the timeout only."""
    port = request.getfixturevalue(fixture)
    publisher = publisher_to(f"amqp://user:secret@127.0.0.1:{port}/")
    started = time.monotonic()

    error = caught(publisher, timeout=0.3)

    assert isinstance(error, signalbus_rabbitmq.TimeoutError)
    assert f"127.0.0.1:{port}: it took too long to connect" in str(error)
    assert time.monotonic() - started < 15  # the timeout is otherwise 30 seconds


def test_missing_confirms_are_given_up_in_time(
    proxy: Proxy,
    publisher_to: MakePublisher,
    caught: Catch,
    queue: str,
    messages_to: MakeMessages,
) -> None:
    """A broker that falls silent costs the timeout only, and is asked again later."""
    publisher = publisher_to(proxy.url)
    publisher.publish_messages(messages_to(queue, 1))
    proxy.silence()

    error = caught(publisher, queue, timeout=0.3)

    assert isinstance(error, signalbus_rabbitmq.TimeoutError)
    assert f"{proxy.address}: it did not answer in time" in str(error)
    proxy.unsilence()
    publisher.publish_messages(messages_to(queue, 1))


def test_idle_connections_are_not_trusted_when_one_is_silent(
    proxy: Proxy,
    publisher_to: MakePublisher,
    caught: Catch,
    queue: str,
    messages_to: MakeMessages,
) -> None:
    """They are as old, and may be dead: the next call makes a new one."""
    publisher = publisher_to(proxy.url)
    proxy.delay(0.2)  # so that each thread needs a connection of its own
    with ThreadPoolExecutor() as executor:
        for _ in range(3):
            executor.submit(publisher.publish_messages, messages_to(queue, 1))
    assert 3 == proxy.accepted
    proxy.delay(0)
    proxy.silence()
    caught(publisher, queue, timeout=0.3)
    proxy.unsilence()

    publisher.publish_messages(messages_to(queue, 1))

    assert 4 == proxy.accepted


def test_a_connection_lost_while_idle_is_opened_again(
    proxy: Proxy,
    publisher_to: MakePublisher,
    broker: Broker,
    queue: str,
    messages_to: MakeMessages,
) -> None:
    """What happened between two batches does not show, not even without retry."""
    publisher = publisher_to(proxy.url)
    publisher.publish_messages(messages_to(queue, 1))
    proxy.cut()

    publisher.publish_messages(messages_to(queue, 1), allow_retry=False)

    assert 2 == len(broker.bodies(queue))
    assert 2 == proxy.accepted


def test_a_connection_lost_within_a_batch_is_opened_again(
    proxy: Proxy,
    publisher_to: MakePublisher,
    broker: Broker,
    queue: str,
    messages_to: MakeMessages,
) -> None:
    """What was not confirmed is sent again, once, and the call succeeds."""
    proxy.limit = LIMIT
    proxy.acked = cut_once(proxy)

    publisher_to(proxy.url).publish_messages(messages_to(queue, COUNT))

    assert 2 == proxy.accepted
    assert COUNT == len(set(broker.bodies(queue)))


def test_without_retry_a_lost_connection_says_what_arrived(
    proxy: Proxy, publisher_to: MakePublisher, broker: Broker, queue: str, caught: Catch
) -> None:
    """Every message is either in the queue or among the failures."""
    proxy.limit = LIMIT
    proxy.acked = proxy.hang_up

    error = caught(publisher_to(proxy.url), queue, COUNT, allow_retry=False)

    assert isinstance(error, signalbus_rabbitmq.ConnectionError)
    arrived = {int(body) for body in broker.bodies(queue)}
    assert set(range(COUNT)) == arrived | set(error.failures)
    assert 0 < len(error.failures) < COUNT


def test_a_connection_lost_twice_is_an_error(
    proxy: Proxy, publisher_to: MakePublisher, queue: str, caught: Catch
) -> None:
    """It is tried again once and no more; the error says what arrived."""
    proxy.limit = LIMIT
    proxy.acked = proxy.cut

    error = caught(publisher_to(proxy.url), queue, COUNT)

    assert isinstance(error, signalbus_rabbitmq.ConnectionError)
    assert 2 == proxy.accepted


def test_a_connection_closed_by_the_broker_is_opened_again(
    node: Node, publisher_to: MakePublisher, messages_to: MakeMessages
) -> None:
    """An operator may close connections, between batches and within them."""
    queue = node.queue()
    publisher = publisher_to(node.url)
    publisher.publish_messages(messages_to(queue, 1))
    node.control("close_all_connections", "tests")

    publisher.publish_messages(messages_to(queue, 1))

    assert 2 == len(node.bodies(queue))


def test_a_connection_closed_within_a_batch_is_opened_again(
    node: Node,
    node_proxy: Proxy,
    publisher_to: MakePublisher,
    messages_to: MakeMessages,
) -> None:
    """An operator who closes connections while messages come in loses none."""
    queue = node.queue()
    node_proxy.limit = LIMIT
    node_proxy.acked = close_once(node, node_proxy)

    publisher_to(node_proxy.url).publish_messages(messages_to(queue, COUNT))

    assert 2 == node_proxy.accepted
    assert COUNT == len(set(node.bodies(queue)))


def test_no_password_is_ever_logged(
    proxy: Proxy,
    publisher_to: MakePublisher,
    queue: str,
    messages_to: MakeMessages,
    caught: Catch,
    free_port: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither we nor pika log it, at any level, whether it goes well or not."""
    caplog.set_level(logging.DEBUG)
    publisher = publisher_to(proxy.url)
    publisher.publish_messages(messages_to(queue, 1))
    proxy.cut()
    publisher.publish_messages(messages_to(queue, 1))
    for bad in (proxy.address, f"127.0.0.1:{free_port}"):
        caught(publisher_to(f"amqp://guest:tell-nobody@{bad}/"))

    assert caplog.records
    assert "tell-nobody" not in caplog.text
    assert "guest:guest" not in caplog.text


def test_pika_logs_our_connections_for_debugging_only(
    proxy: Proxy,
    publisher_to: MakePublisher,
    queue: str,
    messages_to: MakeMessages,
    caught: Catch,
    free_port: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It has several errors for each attempt; ours tell the same, once."""
    caplog.set_level(logging.DEBUG)
    publisher = publisher_to(proxy.url)
    publisher.publish_messages(messages_to(queue, 1))
    proxy.cut()
    publisher.publish_messages(messages_to(queue, 1))
    for address in (f"127.0.0.1:{free_port}", "no-such-host.invalid"):
        caught(publisher_to(f"amqp://guest:guest@{address}/"))

    assert {logging.DEBUG} == {
        each.levelno for each in caplog.records if each.name.startswith("pika.")
    }
    assert "Address resolution failed" in caplog.text


def test_pika_logs_nothing_about_our_connections(
    publisher_to: MakePublisher,
    caught: Catch,
    free_port: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At the usual level, a broker that is down is not a line of pika's."""
    caplog.set_level(logging.INFO)

    caught(publisher_to(f"amqp://guest:guest@127.0.0.1:{free_port}/"))

    assert [] == [each for each in caplog.records if each.name.startswith("pika")]


def test_pika_logs_the_connections_of_others(
    publisher_to: MakePublisher,
    caught: Catch,
    free_port: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Who uses pika by itself, in the same thread or another, misses nothing."""
    url = f"amqp://guest:guest@127.0.0.1:{free_port}/"
    caught(publisher_to(url))

    with pytest.raises(pika.exceptions.AMQPConnectionError):
        pika.BlockingConnection(pika.URLParameters(url))

    assert logging.ERROR in {
        each.levelno for each in caplog.records if each.name.startswith("pika.")
    }


def cut_once(proxy: Proxy) -> t.Callable[[], None]:
    """Return what cuts the connections the first time that it is called."""
    return once(proxy, proxy.cut)


def close_once(node: Node, proxy: Proxy) -> t.Callable[[], None]:
    """Return what has the node close all connections, the first time."""
    return once(proxy, lambda: node.control("close_all_connections", "tests"))


def once(proxy: Proxy, break_off: t.Callable[[], object]) -> t.Callable[[], None]:
    """Return what calls *break_off* once, and lets everything through from then on."""
    left = [break_off]

    def call() -> None:
        while left:
            proxy.limit = None
            left.pop()()

    return call
