"""A consumer processes each message, and says to the broker what became of it."""

from __future__ import annotations

import collections
import threading
import typing as t

import flask
import pytest
from flask import Flask
from signalbus_rabbitmq import Consumer
from signalbus_rabbitmq import TerminatedConsumption
from signalbus_rabbitmq import TerminatedConsumtion

if t.TYPE_CHECKING:
    from conftest import Broker
    from conftest import Proxy
    from signalbus_rabbitmq import Message
    from signalbus_rabbitmq import Publisher

MakeConsumer: t.TypeAlias = "t.Callable[..., Consumer]"
MakeMessages: t.TypeAlias = "t.Callable[..., list[Message]]"


@pytest.fixture
def fill(
    publisher: Publisher, queue: str, messages_to: MakeMessages
) -> t.Callable[[int], None]:
    """Put so many messages into the queue."""
    return lambda count: publisher.publish_messages(messages_to(queue, count))


@pytest.fixture
def started() -> t.Iterator[t.Callable[[Consumer], threading.Thread]]:
    """Start a consumer in a thread of its own; it is stopped in the end."""
    running = []

    def start(consumer: Consumer) -> threading.Thread:
        thread = threading.Thread(target=consumer.start)
        running.append((consumer, thread))
        thread.start()
        return thread

    yield start
    for consumer, thread in running:
        consumer.stop()
        thread.join()


def test_draining_ends_when_the_queue_is_empty(
    fill: t.Callable[[int], None], queue: str, consumer_of: MakeConsumer, broker: Broker
) -> None:
    """Every message is processed and acknowledged, then start() returns."""
    fill(3000)
    seen: list[bytes] = []

    consumer_of(
        queue, lambda body: not seen.append(body), draining_mode=True, threads=4
    ).start()

    assert {b"%d" % n for n in range(3000)} == set(seen)
    assert [] == broker.bodies(queue)


def test_one_thread_keeps_the_order(
    fill: t.Callable[[int], None], queue: str, consumer_of: MakeConsumer
) -> None:
    """By default, messages are processed one after the other."""
    fill(500)
    seen: list[bytes] = []

    consumer_of(queue, lambda body: not seen.append(body), draining_mode=True).start()

    assert [b"%d" % n for n in range(500)] == seen


def test_draining_an_empty_queue_ends_at_once(
    queue: str, consumer_of: MakeConsumer
) -> None:
    """There is nothing to wait for."""
    consumer_of(queue, lambda body: True, draining_mode=True).start()


def test_rejected_messages_go_to_the_dead_letters(
    broker: Broker,
    publisher: Publisher,
    messages_to: MakeMessages,
    consumer_of: MakeConsumer,
) -> None:
    """False rejects: the queue's dead-letter exchange gets the message."""
    dead = broker.queue()
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
    queue = broker.queue(**arguments)
    publisher.publish_messages(messages_to(queue, 3))

    consumer_of(queue, lambda body: body != b"1", draining_mode=True).start()

    assert ([], [b"1"]) == (broker.bodies(queue), broker.bodies(dead))


def test_an_exception_ends_it_and_returns_the_message(
    fill: t.Callable[[int], None], queue: str, consumer_of: MakeConsumer, broker: Broker
) -> None:
    """The message is back in the queue, and the exception is the cause."""
    fill(1)

    with pytest.raises(TerminatedConsumption, match=queue) as caught:
        consumer_of(queue, lambda body: 1 / 0).start()

    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert [b"0"] == broker.bodies(queue)


@pytest.mark.parametrize("answer", [None, 1, "yes"])
def test_an_answer_must_be_true_or_false(
    fill: t.Callable[[int], None],
    queue: str,
    consumer_of: MakeConsumer,
    broker: Broker,
    answer: t.Any,
) -> None:
    """Who forgets to answer loses no message."""
    fill(1)

    with pytest.raises(TerminatedConsumption, match=f"answered {answer!r}"):
        consumer_of(queue, lambda body: answer).start()

    assert [b"0"] == broker.bodies(queue)


def test_stop_finishes_what_is_being_processed(
    fill: t.Callable[[int], None], queue: str, consumer_of: MakeConsumer, broker: Broker
) -> None:
    """That is acknowledged; what was only prefetched goes back to the queue."""
    fill(10)
    consumer = consumer_of(queue, lambda body: consumer.stop() is None)

    consumer.start()

    assert [b"%d" % n for n in range(1, 10)] == broker.bodies(queue)


def test_a_stopped_consumer_can_be_started_again(
    fill: t.Callable[[int], None], queue: str, consumer_of: MakeConsumer
) -> None:
    """Each start is a run of its own."""
    fill(3)
    seen: list[bytes] = []
    consumer = consumer_of(
        queue, lambda body: not (seen.append(body) or consumer.stop())
    )

    for _ in range(3):
        consumer.start()

    assert [b"0", b"1", b"2"] == seen


def test_stopped_before_it_is_started_it_ends_at_once(
    queue: str, consumer_of: MakeConsumer
) -> None:
    """A signal that comes early is not forgotten."""
    consumer = consumer_of(queue, lambda body: True)
    consumer.stop(15, None)

    consumer.start()


def test_messages_are_processed_at_the_same_time(
    fill: t.Callable[[int], None], queue: str, consumer_of: MakeConsumer
) -> None:
    """As many as there are threads; none would end if they waited in turn."""
    fill(4)
    together = threading.Barrier(4, timeout=30)

    consumer_of(
        queue, lambda body: together.wait() >= 0, draining_mode=True, threads=4
    ).start()

    assert not together.broken


def test_each_message_has_an_app_context(
    fill: t.Callable[[int], None], queue: str, consumer_of: MakeConsumer
) -> None:
    """It is the app's, and new for each message."""
    fill(3)
    names: collections.Counter[str] = collections.Counter()

    def process(body: bytes) -> bool:
        assert "seen" not in flask.g
        flask.g.seen = True
        names[flask.current_app.name] += 1
        return True

    consumer_of(queue, process, draining_mode=True).start()

    assert {"shop": 3} == names


def test_the_prefetch_count_bounds_what_is_taken(
    fill: t.Callable[[int], None],
    queue: str,
    consumer_of: MakeConsumer,
    started: t.Callable[[Consumer], threading.Thread],
    broker: Broker,
) -> None:
    """The broker keeps the rest, for other consumers."""
    fill(10)
    busy, go_on = threading.Event(), threading.Event()

    def process(body: bytes) -> bool:
        busy.set()
        return go_on.wait(30)

    started(consumer_of(queue, process, prefetch_count=4))
    assert busy.wait(30)

    assert 6 == len(broker.bodies(queue))
    go_on.set()


def test_heartbeats_are_served_while_workers_are_busy(
    fill: t.Callable[[int], None], queue: str, consumer_of: MakeConsumer, proxy: Proxy
) -> None:
    """A message may take longer than the heartbeat timeout."""
    fill(1)
    url = f"{proxy.url}?heartbeat=1"

    consumer_of(
        queue, lambda body: proxy.heartbeats(5), url=url, draining_mode=True
    ).start()

    assert 1 == proxy.accepted


def test_a_lost_connection_ends_it(
    fill: t.Callable[[int], None],
    queue: str,
    consumer_of: MakeConsumer,
    proxy: Proxy,
    broker: Broker,
) -> None:
    """The error names the broker; what was not acknowledged is in the queue."""
    fill(3)

    with pytest.raises(TerminatedConsumption, match=proxy.address):
        consumer_of(queue, lambda body: proxy.cut() is None, url=proxy.url).start()

    assert [b"0", b"1", b"2"] == broker.bodies(queue)


def test_a_deleted_queue_ends_it(
    fill: t.Callable[[int], None], queue: str, consumer_of: MakeConsumer, broker: Broker
) -> None:
    """The broker cancels the consumer, which says so."""
    fill(1)

    def delete(body: bytes) -> bool:
        with broker.channel() as channel:
            channel.queue_delete(queue)
        return True

    with pytest.raises(TerminatedConsumption, match="the queue is gone"):
        consumer_of(queue, delete).start()


def test_a_missing_queue_is_named(consumer_of: MakeConsumer) -> None:
    """The queue must exist; the consumer declares none."""
    with pytest.raises(TerminatedConsumption, match=r"no queue .no\.such\.queue."):
        consumer_of("no.such.queue", lambda body: True).start()


def test_an_unreachable_broker_is_named(
    consumer_of: MakeConsumer, free_port: int
) -> None:
    """The error has host and port, and no password."""
    url = f"amqp://guest:secret@127.0.0.1:{free_port}/"

    with pytest.raises(TerminatedConsumption, match=str(free_port)) as caught:
        consumer_of("queue", lambda body: True, url=url).start()

    assert "secret" not in str(caught.value)


def test_a_setting_that_the_broker_lacks_is_an_error(
    queue: str, consumer_of: MakeConsumer
) -> None:
    """RabbitMQ has no limit in bytes, and says so."""
    with pytest.raises(TerminatedConsumption, match="NOT_IMPLEMENTED"):
        consumer_of(queue, lambda body: True, prefetch_size=1).start()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("URL", None),
        ("URL", "http://host/"),
        ("URL", "host:5672"),
        ("QUEUE", None),
        ("THREADS", 0),
        ("THREADS", "many"),
        ("PREFETCH_COUNT", -1),
        ("PREFETCH_SIZE", None),
    ],
)
def test_impossible_settings_are_named(name: str, value: t.Any) -> None:
    """A configuration that cannot work is an error at start, by name."""
    app = Flask("shop")
    app.config.update(
        {"MINE_URL": "amqp://host", "MINE_QUEUE": "q", f"MINE_{name}": value}
    )

    with pytest.raises(ValueError, match=f"MINE_{name} is"):
        Consumer(app, config_prefix="MINE")


def test_a_consumer_is_started_once_at_a_time(
    fill: t.Callable[[int], None], queue: str, consumer_of: MakeConsumer
) -> None:
    """Who wants more at a time sets the number of threads."""
    fill(1)
    consumer = consumer_of(queue, lambda body: consumer.start())

    with pytest.raises(TerminatedConsumption, match="started already") as caught:
        consumer.start()

    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_consumer_without_app_says_so() -> None:
    """Who forgot init_app is told."""
    with pytest.raises(RuntimeError, match="init_app"):
        Consumer().start()


def test_the_old_spelling_is_the_same_class() -> None:
    """Programs that catch the old name catch the new one."""
    assert TerminatedConsumtion is TerminatedConsumption
