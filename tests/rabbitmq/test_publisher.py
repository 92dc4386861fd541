"""The publisher delivers, and says of each message what became of it."""

from __future__ import annotations

import os
import threading
import time
import typing as t

import pika
import pytest
from flask import Flask
from signalbus_rabbitmq import DeliveryError
from signalbus_rabbitmq import Message
from signalbus_rabbitmq import MessageProperties
from signalbus_rabbitmq import NackedError
from signalbus_rabbitmq import Publisher
from signalbus_rabbitmq import RefusedError
from signalbus_rabbitmq import ReturnedError
from signalbus_rabbitmq._channel import ConfirmChannel
from signalbus_rabbitmq._pool import ConnectionPool

if t.TYPE_CHECKING:
    from conftest import Broker
    from conftest import Node
    from conftest import Proxy

MakePublisher: t.TypeAlias = "t.Callable[[str], Publisher]"
MakeMessages: t.TypeAlias = "t.Callable[..., list[Message]]"


def failures_of(
    publisher: Publisher, messages: list[Message], **options: t.Any
) -> t.Any:
    """Publish *messages* and return what failed, by position."""
    with pytest.raises(DeliveryError) as caught:
        publisher.publish_messages(messages, **options)
    return caught.value.failures


def numbers(count: int) -> t.Any:
    """Return the bodies of so many messages."""
    return [b"%d" % number for number in range(count)]


def test_messages_arrive_in_order_and_once(
    publisher: Publisher, broker: Broker, queue: str, messages_to: MakeMessages
) -> None:
    """When the call returns, all messages are in the queue, as they were given."""
    publisher.publish_messages(messages_to(queue, 3000))

    assert numbers(3000) == broker.bodies(queue)


def test_messages_may_come_from_a_generator(
    publisher: Publisher, broker: Broker, queue: str, messages_to: MakeMessages
) -> None:
    """Any iterable of messages will do."""
    publisher.publish_messages(each for each in messages_to(queue, 3))

    assert numbers(3) == broker.bodies(queue)


def test_nothing_to_publish_needs_no_broker(
    publisher_to: MakePublisher, free_port: int
) -> None:
    """An empty batch is published at once, wherever the broker is."""
    publisher_to(f"amqp://guest:guest@127.0.0.1:{free_port}/").publish_messages([])


def test_properties_arrive_as_given(
    publisher: Publisher, broker: Broker, queue: str
) -> None:
    """The broker hands on what the message says about itself."""
    given = MessageProperties(
        content_type="text/plain", headers={"a": [1, True]}, priority=3, type="T"
    )
    publisher.publish_messages([Message("", queue, b"", given)])

    assert [(given, b"")] == broker.take(queue)


def test_messages_without_properties_are_persistent(
    publisher: Publisher, broker: Broker, queue: str
) -> None:
    """Who says nothing gets a message that survives a restart."""
    publisher.publish_messages([Message("", queue, b"")])

    assert broker.take(queue)[0][0].delivery_mode == 2


def test_large_and_empty_bodies_arrive(
    publisher: Publisher, broker: Broker, queue: str
) -> None:
    """A body may be empty, or take many frames."""
    bodies = [b"", os.urandom(1_000_000), b"", os.urandom(131_064), b"x"]
    publisher.publish_messages([Message("", queue, body) for body in bodies])

    assert bodies == broker.bodies(queue)


def test_one_unroutable_message_stops_no_other(
    publisher: Publisher, broker: Broker, queue: str, messages_to: MakeMessages
) -> None:
    """Of a thousand messages, 999 are confirmed; the one that is not is named."""
    messages = messages_to(queue, 1000)
    messages[500] = Message("", "no.such.queue", b"lost", mandatory=True)

    failures = failures_of(publisher, messages)

    assert [500] == list(failures)
    assert isinstance(failures[500], ReturnedError)
    assert "'no.such.queue'" in str(failures[500])
    assert 999 == len(broker.bodies(queue))


def test_unroutable_messages_are_confirmed_unless_mandatory(
    publisher: Publisher, messages_to: MakeMessages
) -> None:
    """It is AMQP's way: who does not ask is not told."""
    publisher.publish_messages(messages_to("no.such.queue", 3, mandatory=False))


def test_returned_messages_are_told_apart_by_headers(
    publisher: Publisher, broker: Broker, queue: str
) -> None:
    """Messages that are equal but for their headers may be routed differently."""
    exchange = broker.exchange("headers", queue, arguments={"to": "us"})
    messages = [
        Message(
            exchange, "", b"same", MessageProperties(headers={"to": to, "n": 7}), True
        )
        for to in ("us", "them", "us", "nobody")
    ]

    assert [1, 3] == list(failures_of(publisher, messages))


@pytest.mark.parametrize(
    "headers", [None, {}, {"BCC": ["nobody"]}, {"b": 1, "a": {}}, {"CC": ["nobody"]}]
)
def test_returned_messages_are_recognised(
    publisher: Publisher, broker: Broker, queue: str, headers: t.Any
) -> None:
    """Whatever the broker makes of the headers, it is one message that failed."""
    messages = [
        Message(
            "", key, b"same", MessageProperties(headers=headers, delivery_mode=2), True
        )
        for key in (queue, "no.such.queue", queue)
    ]
    messages[0].properties.headers = None

    assert [1] == list(failures_of(publisher, messages))
    assert 2 == len(broker.bodies(queue))


def test_returned_messages_that_were_changed_are_found_one_by_one(
    proxy: Proxy, publisher_to: MakePublisher, broker: Broker, queue: str
) -> None:
    """Those that it may be are sent again: none is lost, and no other fails for it."""
    exchange = broker.exchange("headers", queue, arguments={"to": "us"})
    messages = [
        Message(
            exchange,
            "",
            b"same",
            MessageProperties(headers={"to": to}, type="original"),
            mandatory=True,
        )
        for to in ("us", "them", "us", "us")
    ]
    messages.append(Message("", queue, b"other", None, mandatory=True))
    proxy.replace(b"original", b"distorts")

    assert [1] == list(failures_of(publisher_to(proxy.url), messages))
    bodies = broker.bodies(queue)
    assert 1 == bodies.count(b"other")
    assert 3 <= bodies.count(b"same") <= 6


def test_messages_of_a_generator_are_those_that_it_gave(
    publisher: Publisher, broker: Broker, queue: str
) -> None:
    """It may use the same properties, and change them for the next message."""
    properties = MessageProperties(headers={"n": 0})

    def make() -> t.Iterator[Message]:
        for number in range(3):
            properties.headers["n"] = number
            properties.message_id = str(number)
            yield Message("", queue, b"", properties)

    publisher.publish_messages(make())

    assert [({"n": n}, str(n)) for n in range(3)] == [
        (each.headers, each.message_id) for each, _ in broker.take(queue)
    ]


def test_closing_takes_about_a_second_for_all_connections(
    proxy: Proxy, broker: Broker
) -> None:
    """A broker that does not answer is not waited for again by each connection."""
    pool = ConnectionPool()
    parameters = pika.URLParameters(proxy.url)
    for _ in range(10):
        pool.put(ConfirmChannel.open(parameters, time.monotonic() + 10))
    proxy.silence()
    started = time.monotonic()

    pool.close()

    assert time.monotonic() - started < 8  # one after the other, they take ten
    assert pool.take() is None


def test_a_full_queue_nacks(
    publisher: Publisher, broker: Broker, messages_to: MakeMessages
) -> None:
    """What a queue rejects is a failure; what it took before is not."""
    arguments = {"x-max-length": 2, "x-overflow": "reject-publish"}
    queue = broker.queue(**arguments)

    failures = failures_of(publisher, messages_to(queue, 5))

    assert [2, 3, 4] == list(failures)
    assert all(isinstance(each, NackedError) for each in failures.values())


def test_messages_to_a_missing_exchange_are_refused(
    publisher: Publisher, broker: Broker, queue: str
) -> None:
    """The broker closes the channel at a missing exchange; all others arrive."""
    messages = [
        Message("no.such.exchange" if n % 7 == 3 else "", queue, b"%d" % n)
        for n in range(100)
    ]

    failures = failures_of(publisher, messages)

    assert list(range(3, 100, 7)) == sorted(failures)
    assert isinstance(failures[3], RefusedError)
    assert "no exchange 'no.such.exchange'" in str(failures[3])
    assert set(numbers(100)) - {b"%d" % n for n in failures} == set(
        broker.bodies(queue)
    )


def test_several_refused_messages_are_all_found(
    publisher: Publisher, broker: Broker, queue: str
) -> None:
    """Messages refused each for itself fail each for itself."""
    other = MessageProperties(user_id="somebody.else", delivery_mode=2)
    messages = [
        Message("", queue, b"%d" % n, other if n in (2, 3, 20) else None)
        for n in range(30)
    ]

    assert [2, 3, 20] == list(failures_of(publisher, messages))
    assert 27 == len(set(broker.bodies(queue)))


def test_a_message_too_large_for_the_broker_is_refused(
    node: Node, publisher_to: MakePublisher, messages_to: MakeMessages
) -> None:
    """The broker's limit concerns the message that is over it, and no other."""
    queue = node.queue()
    messages = messages_to(queue, 3)
    messages[1] = Message("", queue, bytes(1_000_001))

    failures = failures_of(publisher_to(node.url), messages)

    assert [1] == list(failures)
    assert "larger than" in str(failures[1])
    assert [b"0", b"2"] == sorted(set(node.bodies(queue)))


def test_a_message_of_wrong_types_stops_no_other(
    publisher: Publisher, broker: Broker, queue: str, messages_to: MakeMessages
) -> None:
    """What cannot be encoded fails with the reason; the rest is published."""
    messages = messages_to(queue, 3)
    messages[1] = Message("", queue, "text")

    failures = failures_of(publisher, messages)

    assert "The body of a message is bytes, not 'text'." == str(failures[1])
    assert [b"0", b"2"] == broker.bodies(queue)


def test_after_a_failure_the_next_batch_is_published(
    publisher: Publisher, broker: Broker, queue: str, messages_to: MakeMessages
) -> None:
    """A refused message, and the channel it closed, are forgotten."""
    failures_of(publisher, [Message("no.such.exchange", "", b"")])

    publisher.publish_messages(messages_to(queue, 3))

    assert numbers(3) == broker.bodies(queue)


def test_the_error_says_which_messages_failed_and_why(
    publisher: Publisher, messages_to: MakeMessages
) -> None:
    """Its text has the count, the first positions and the first reason."""
    messages = messages_to("no.such.queue", 7)

    with pytest.raises(DeliveryError, match=r"7 of 7 .* \(at 0, 1, 2, 3, 4, …\).*NO_"):
        publisher.publish_messages(messages)


def test_threads_share_a_publisher_but_no_connection(
    proxy: Proxy,
    publisher_to: MakePublisher,
    broker: Broker,
    queue: str,
    messages_to: MakeMessages,
) -> None:
    """Four threads that publish at a time take four connections at most."""
    publisher = publisher_to(proxy.url)

    def publish() -> None:
        for _ in range(5):
            publisher.publish_messages(messages_to(queue, 100))

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 2000 == len(broker.bodies(queue))
    assert proxy.accepted <= 4


def test_a_connection_serves_one_thread_after_the_other(
    proxy: Proxy, publisher_to: MakePublisher, queue: str, messages_to: MakeMessages
) -> None:
    """A server that starts a thread for each request does not connect each time."""
    publisher = publisher_to(proxy.url)
    for _ in range(5):
        thread = threading.Thread(
            target=publisher.publish_messages, args=[messages_to(queue, 1)]
        )
        thread.start()
        thread.join()

    assert 1 == proxy.accepted


@pytest.mark.skipif(not hasattr(os, "fork"), reason="There is no fork here.")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_gets_connections_of_its_own(
    publisher: Publisher, broker: Broker, queue: str, messages_to: MakeMessages
) -> None:
    """Parent and child publish at the same time, neither on the other's connection."""
    publisher.publish_messages(messages_to(queue, 1))
    child = os.fork()
    if child == 0:
        try:
            publisher.publish_messages(messages_to(queue, 500))
            publisher.close()
        except BaseException:  # noqa: BLE001 the child must not run other tests
            os._exit(1)
        os._exit(0)
    publisher.publish_messages(messages_to(queue, 500))

    assert 0 == os.waitpid(child, 0)[1]
    publisher.publish_messages(messages_to(queue, 1))
    assert 1002 == len(broker.bodies(queue))


def test_a_publisher_may_have_several_apps(
    broker: Broker, queue: str, messages_to: MakeMessages, free_port: int
) -> None:
    """Within an app context, it is that app's broker that gets the messages."""
    near, far = Flask("near"), Flask("far")
    near.config["BROKER"] = broker.url
    far.config["BROKER"] = f"amqp://guest:guest@127.0.0.1:{free_port}/"
    publisher = Publisher(near, url_config_key="BROKER")
    publisher.init_app(far)

    with near.app_context():
        publisher.publish_messages(messages_to(queue, 2))
    with pytest.raises(RuntimeError, match="several apps"):
        publisher.publish_messages(messages_to(queue, 2))

    assert numbers(2) == broker.bodies(queue)
    publisher.close()


def test_a_publisher_without_app_says_so(messages_to: MakeMessages) -> None:
    """Who forgot init_app is told."""
    with pytest.raises(RuntimeError, match="init_app"):
        Publisher().publish_messages(messages_to("queue", 1))


def test_a_missing_url_is_named() -> None:
    """The setting that is missing stands in the error."""
    with pytest.raises(ValueError, match="SIGNALBUS_RABBITMQ_URL is not set"):
        Publisher(Flask("shop"))


@pytest.mark.parametrize(
    "url",
    [
        "amqp://user:se/cret@host:5672/",
        "amqp://user:se#cret@host/",
        "amqp://user:secret@host:port/",
        "amqp://user:secret@host/?heartbeat=secret",
        "amqp://user@host/?nonsense=secret",
        "secret://user:secret@host/",
        "amqp://user@host",
        b"amqp://secret",
        7,
    ],
)
def test_a_malformed_url_is_named_and_not_shown(url: t.Any) -> None:
    """Whatever is wrong with a URL, its password does not get into the error."""
    app = Flask("shop")
    app.config["SIGNALBUS_RABBITMQ_URL"] = url
    with pytest.raises(
        ValueError, match="SIGNALBUS_RABBITMQ_URL is not an AMQP"
    ) as caught:
        Publisher(app)

    assert "cret" not in repr(caught.value)
    assert caught.value.__suppress_context__
