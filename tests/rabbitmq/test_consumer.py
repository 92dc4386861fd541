"""A consumer processes each message, and says to the broker what became of it."""

from __future__ import annotations

import collections
import logging
import sys
import threading
import typing as t

import flask
import pytest
from flask import Flask
from signalbus_rabbitmq import Consumer
from signalbus_rabbitmq import Message
from signalbus_rabbitmq import MessageProperties
from signalbus_rabbitmq import Publisher
from signalbus_rabbitmq import QueueNotFoundError
from signalbus_rabbitmq import TerminatedConsumption
from signalbus_rabbitmq import TerminatedConsumtion
from signalbus_rabbitmq import _retries

if t.TYPE_CHECKING:
    from conftest import Broker
    from conftest import Proxy

#: Waits that a test can wait for, and those that it does not live to see.
SOON = {"retry_first_delay": 0.01, "retry_max_delay": 0.02}
LATE = {"retry_first_delay": 600, "retry_max_delay": 600}

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


def test_one_exception_does_not_stop_the_others(
    fill: t.Callable[[int], None], queue: str, consumer_of: MakeConsumer, broker: Broker
) -> None:
    """The message is tried again after a wait; the others are processed meanwhile."""
    fill(3000)
    seen: list[bytes] = []

    def process(body: bytes) -> bool:
        seen.append(body)
        return bool(seen.count(b"0") > 1 or 1 / len(body.strip(b"0")))

    consumer_of(queue, process, draining_mode=True, **SOON).start()

    assert [b"0", b"1"] == seen[:2]
    assert 2 == seen.count(b"0")
    assert {b"%d" % n for n in range(3000)} == set(seen)
    assert [] == broker.bodies(queue)


@pytest.mark.parametrize("prefetch_count", [1, 10])
def test_many_failing_messages_do_not_starve_the_others(
    fill: t.Callable[[int], None],
    queue: str,
    consumer_of: MakeConsumer,
    broker: Broker,
    started: t.Callable[[Consumer], threading.Thread],
    prefetch_count: int,
) -> None:
    """More of them than the prefetch count has room for wait, and others still come."""
    fill(200)
    seen: list[bytes] = []
    done = threading.Event()

    def process(body: bytes) -> bool:
        if int(body) < 100:
            raise LookupError(body)
        seen.append(body)
        if body == b"199":
            done.set()
        return True

    consumer = consumer_of(queue, process, prefetch_count=prefetch_count, **LATE)
    thread = started(consumer)
    assert done.wait(30)
    consumer.stop()
    thread.join()

    assert [b"%d" % n for n in range(100, 200)] == sorted(seen)
    assert {b"%d" % n for n in range(100)} == set(broker.bodies(queue))


def test_after_so_many_attempts_a_message_is_rejected(
    broker: Broker,
    publisher: Publisher,
    messages_to: MakeMessages,
    consumer_of: MakeConsumer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It goes to the dead letters; the log has its id and the error."""
    dead = broker.queue()
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
    queue = broker.queue(**arguments)
    properties = MessageProperties(message_id="paid:7", delivery_mode=2)
    publisher.publish_messages([Message("", queue, b"0", properties)])
    seen: list[bytes] = []

    with pytest.raises(TerminatedConsumption, match="1 of its messages") as caught:
        consumer_of(
            queue,
            lambda body: seen.append(body) or 1 / 0,
            draining_mode=True,
            max_attempts=4,
            **SOON,
        ).start()

    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert [b"0"] * 4 == seen
    assert ([], [b"0"]) == (broker.bodies(queue), broker.bodies(dead))
    (error,) = (r.getMessage() for r in caplog.records if r.levelname == "ERROR")
    assert "message 'paid:7' failed 4 times" in error
    assert "ZeroDivisionError: division by zero" in error


def test_attempts_that_the_queue_counted_are_counted(
    broker: Broker,
    publisher: Publisher,
    messages_to: MakeMessages,
    consumer_of: MakeConsumer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A quorum queue says how often a message came back to it; so does the log."""
    dead = broker.queue()
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
    queue = broker.queue(**arguments, **{"x-queue-type": "quorum"})
    publisher.publish_messages(messages_to(queue, 1))
    seen: list[bytes] = []
    stopped = consumer_of(queue, lambda body: stopped.stop() or 1 / 0)
    for _ in range(2):
        stopped.start()

    with pytest.raises(TerminatedConsumption):
        consumer_of(
            queue,
            lambda body: seen.append(body) or 1 / 0,
            draining_mode=True,
            max_attempts=3,
            **LATE,
        ).start()

    assert [b"0"] == seen
    assert [b"0"] == broker.bodies(dead)
    (error,) = (r.getMessage() for r in caplog.records if r.levelname == "ERROR")
    assert "failed 3 times, 2 of them counted before this delivery: it is" in error


def test_nothing_comes_back_while_the_consumer_is_replaced(
    broker: Broker,
    publisher: Publisher,
    messages_to: MakeMessages,
    consumer_of: MakeConsumer,
    proxy: Proxy,
) -> None:
    """A quorum queue would count it as a failed attempt."""
    dead = broker.queue()
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
    queue = broker.queue(**arguments, **{"x-queue-type": "quorum"})
    publisher.publish_messages(messages_to(queue, 300))
    proxy.delay(0.01)
    seen: collections.Counter[bytes] = collections.Counter()

    def process(body: bytes) -> bool:
        seen[body] += 1
        return bool(int(body) % 2 or seen[body] > 1 or 1 / 0)

    consumer_of(
        queue,
        process,
        url=proxy.url,
        draining_mode=True,
        prefetch_count=10,
        max_attempts=2,
        **SOON,
    ).start()

    assert [] == broker.bodies(dead)
    assert {b"%d" % n: 2 - n % 2 for n in range(300)} == seen


def test_what_came_back_untried_is_no_attempt(
    broker: Broker, publisher: Publisher, consumer_of: MakeConsumer
) -> None:
    """The queue counts each way back; the consumer knows that nothing failed."""
    dead = broker.queue()
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
    queue = broker.queue(**arguments, **{"x-queue-type": "quorum"})
    properties = MessageProperties(message_id="paid:7", delivery_mode=2)
    publisher.publish_messages([Message("", queue, b"0", properties)])
    seen: list[bytes] = []

    def process(body: bytes) -> bool:
        seen.append(body)
        if len(seen) < 4:
            sys.exit()
        return bool(len(seen) > 4 or 1 / 0)

    consumer = consumer_of(queue, process, max_attempts=2, **SOON)
    for _ in range(3):
        with pytest.raises(TerminatedConsumption):
            consumer.start()
    consumer.draining_mode = True
    consumer.start()

    assert [b"0"] * 5 == seen
    assert ([], []) == (broker.bodies(queue), broker.bodies(dead))


def test_draining_returns_what_keeps_failing_and_says_so(
    fill: t.Callable[[int], None], queue: str, consumer_of: MakeConsumer, broker: Broker
) -> None:
    """It does not go on for ever: three attempts, and back to the queue with them."""
    fill(30)
    seen: collections.Counter[bytes] = collections.Counter()

    def process(body: bytes) -> bool:
        seen[body] += 1
        return bool(body not in {b"0", b"7"} or 1 / 0)

    with pytest.raises(TerminatedConsumption, match="2 of its messages") as caught:
        consumer_of(
            queue, process, draining_mode=True, prefetch_count=2, **SOON
        ).start()

    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert {b"0": 3, b"7": 3} == {body: n for body, n in seen.items() if n > 1}
    assert 30 == len(seen)
    assert {b"0", b"7"} == set(broker.bodies(queue))


def test_what_waits_goes_back_to_the_queue_at_the_end(
    fill: t.Callable[[int], None], queue: str, consumer_of: MakeConsumer, broker: Broker
) -> None:
    """A stop does not wait for the next attempt."""
    fill(2)
    consumer = consumer_of(
        queue, lambda body: 1 / 0 if body == b"0" else consumer.stop() is None, **LATE
    )

    consumer.start()

    assert [b"0"] == broker.bodies(queue)


def test_failures_that_are_alike_are_logged_once(
    fill: t.Callable[[int], None],
    queue: str,
    consumer_of: MakeConsumer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A database that is down is one line, however many messages need it."""
    fill(50)

    def process(body: bytes) -> bool:
        raise LookupError(f"no order {body!r}")

    with pytest.raises(TerminatedConsumption):
        consumer_of(queue, process, draining_mode=True, **SOON).start()

    (warning,) = (r for r in caplog.records if r.levelname == "WARNING")
    assert "LookupError: no order b'0'. " in f"{warning.getMessage()} "


def test_control_characters_of_an_error_are_escaped(
    fill: t.Callable[[int], None],
    queue: str,
    consumer_of: MakeConsumer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is in a message may be in the error; it must not steer a terminal."""
    fill(1)

    def process(body: bytes) -> bool:
        raise LookupError("\x1b[31mFAKE\x07 line\x00\nline")

    with pytest.raises(TerminatedConsumption) as caught:
        consumer_of(queue, process, draining_mode=True, **SOON).start()

    (warning,) = (r for r in caplog.records if r.levelname == "WARNING")
    assert warning.getMessage().isprintable()
    assert logging.Formatter().format(warning).replace("\n", "").isprintable()
    assert str(caught.value).isprintable()
    assert r"LookupError: \x1b[31mFAKE\x07 line\x00\nline." in str(caught.value)


def test_a_message_that_was_held_for_long_goes_back_to_the_queue(
    fill: t.Callable[[int], None],
    queue: str,
    consumer_of: MakeConsumer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RabbitMQ closes the channel of who keeps a message; its next attempt is anew."""
    monkeypatch.setattr(_retries, "MAX_HELD_SECONDS", 0.0)
    fill(1)
    seen: list[bytes] = []

    consumer_of(
        queue,
        lambda body: bool(seen.append(body) or len(seen) > 5 or 1 / 0),
        draining_mode=True,
        **SOON,
    ).start()

    assert [b"0"] * 6 == seen


@pytest.mark.parametrize("answer", [None, 1, "yes"])
def test_an_answer_must_be_true_or_false(
    fill: t.Callable[[int], None],
    queue: str,
    consumer_of: MakeConsumer,
    broker: Broker,
    answer: t.Any,
) -> None:
    """Who forgets to answer loses no message: it is as good as an exception."""
    fill(1)

    with pytest.raises(TerminatedConsumption, match=f"returned {answer!r}"):
        consumer_of(queue, lambda body: answer, draining_mode=True, **SOON).start()

    assert [b"0"] == broker.bodies(queue)


def test_a_worker_that_is_told_to_exit_ends_it(
    fill: t.Callable[[int], None], queue: str, consumer_of: MakeConsumer, broker: Broker
) -> None:
    """SystemExit is no attempt: the message is back in the queue, and the rest too."""
    fill(3)

    with pytest.raises(TerminatedConsumption, match=queue) as caught:
        consumer_of(queue, lambda body: sys.exit(3)).start()

    assert isinstance(caught.value.__cause__, SystemExit)
    assert [b"0", b"1", b"2"] == broker.bodies(queue)


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
    url = f"{proxy.url}?heartbeat=2"

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

    assert [b"0", b"1", b"2"] == broker.bodies(queue, at_least=3)


def test_a_worker_that_hangs_does_not_keep_a_lost_connection_lost(
    fill: t.Callable[[int], None],
    queue: str,
    consumer_of: MakeConsumer,
    started: t.Callable[[Consumer], threading.Thread],
    proxy: Proxy,
    broker: Broker,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The consumer can start again; the late answer is not taken for a new one."""
    fill(1)
    hung: list[threading.Thread] = []
    go_on, is_back, end = (threading.Event() for _ in range(3))

    def process(body: bytes) -> bool:
        if not hung:
            hung.append(threading.current_thread())
            proxy.cut()
            return go_on.wait(60)
        is_back.set()
        return bool(end.wait(60) and 1 / 0)

    consumer = consumer_of(queue, process, url=proxy.url, threads=2, **LATE)
    with pytest.raises(TerminatedConsumption, match=proxy.address):
        consumer.start()
    (warning,) = (r.getMessage() for r in caplog.records if r.levelname == "WARNING")
    thread = started(consumer)
    assert is_back.wait(30)
    go_on.set()
    hung[0].join()
    end.set()
    consumer.stop()
    thread.join()

    assert "Some workers are still processing" in warning
    assert [b"0"] == broker.bodies(queue)


def test_a_worker_that_hangs_does_not_keep_a_consumer_that_the_broker_ended(
    fill: t.Callable[[int], None], queue: str, consumer_of: MakeConsumer, broker: Broker
) -> None:
    """The connection is there, but nothing comes over it any more."""
    fill(1)
    go_on = threading.Event()

    def delete(body: bytes) -> bool:
        with broker.channel() as channel:
            channel.queue_delete(queue)
        return go_on.wait(60)

    with pytest.raises(TerminatedConsumption, match="the queue is gone"):
        consumer_of(queue, delete).start()

    assert not go_on.is_set()
    go_on.set()


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
    with pytest.raises(
        QueueNotFoundError, match=r"no queue .no\.such\.queue."
    ) as caught:
        consumer_of("no.such.queue", lambda body: True).start()

    assert "flask signalbus rabbitmq declare" in str(caught.value)


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
        ("PREFETCH_COUNT", 65536),
        ("PREFETCH_SIZE", None),
        ("PREFETCH_SIZE", 1.5),
        ("MAX_ATTEMPTS", 0),
        ("MAX_ATTEMPTS", True),
        ("RETRY_FIRST_DELAY", True),
        ("RETRY_FIRST_DELAY", "soon"),
        ("RETRY_MAX_DELAY", 0),
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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("url", "amqp:guest:secret@host"),
        ("queue", ""),
        ("threads", 0),
        ("prefetch_count", 65536),
        ("prefetch_size", -1),
        ("max_attempts", 0),
        ("max_attempts", True),
        ("retry_first_delay", -1),
        ("retry_max_delay", "long"),
    ],
)
def test_impossible_arguments_are_named(name: str, value: t.Any) -> None:
    """An argument that cannot work is an error at once, by name."""
    with pytest.raises(ValueError, match=f"^{name} is") as caught:
        Consumer(**{name: value})

    assert "secret" not in str(caught.value)


ARGUMENTS = {
    "url": "amqp://guest:secret@host/",
    "queue": "orders",
    "threads": 2,
    "prefetch_size": 0,
    "prefetch_count": 7,
    "max_attempts": 5,
    "retry_first_delay": 0.5,
    "retry_max_delay": 9.0,
}


def test_arguments_override_the_configuration() -> None:
    """They can be read before and after the consumer has its app."""
    app = Flask("shop")
    app.config.update({f"MINE_{name.upper()}": "wrong" for name in ARGUMENTS})
    consumer = Consumer(config_prefix="MINE", **ARGUMENTS)
    before = {name: getattr(consumer, name) for name in ARGUMENTS}

    consumer.init_app(app)

    assert ARGUMENTS == before
    assert ARGUMENTS == {name: getattr(consumer, name) for name in ARGUMENTS}
    assert "secret" not in repr(consumer)


def test_what_the_configuration_says_can_be_read() -> None:
    """The attributes have its values, or the defaults, when there is an app."""
    app = Flask("shop")
    app.config.update({"MINE_URL": "amqp://host", "MINE_QUEUE": "q"})
    app.config["MINE_THREADS"] = "3"
    consumer = Consumer(config_prefix="MINE")
    before = {getattr(consumer, name) for name in ARGUMENTS}

    consumer.init_app(app)

    assert {None} == before
    assert {
        "url": "amqp://host",
        "queue": "q",
        "threads": 3,
        "prefetch_size": 0,
        "prefetch_count": 30,
        "max_attempts": None,
        "retry_first_delay": 1.0,
        "retry_max_delay": 60.0,
    } == {name: getattr(consumer, name) for name in ARGUMENTS}


def test_a_consumer_works_by_its_arguments_alone(
    fill: t.Callable[[int], None], queue: str, broker: Broker
) -> None:
    """Nothing need be configured."""
    fill(3)
    seen: list[bytes] = []

    class Reader(Consumer):
        def process_message(self, body: bytes, properties: t.Any) -> bool:
            return not seen.append(body)

    Reader(Flask("shop"), url=broker.url, queue=queue, draining_mode=True).start()

    assert [b"0", b"1", b"2"] == seen


def test_a_consumer_is_started_once_at_a_time(
    fill: t.Callable[[int], None], queue: str, consumer_of: MakeConsumer
) -> None:
    """Who wants more at a time sets the number of threads."""
    fill(1)
    consumer = consumer_of(
        queue, lambda body: consumer.start(), draining_mode=True, **SOON
    )

    with pytest.raises(TerminatedConsumption, match="started already") as caught:
        consumer.start()

    assert isinstance(caught.value.__cause__, RuntimeError)


def test_a_consumer_without_app_says_so() -> None:
    """Who forgot init_app is told."""
    with pytest.raises(RuntimeError, match="init_app"):
        Consumer().start()


def test_a_consumer_that_cannot_process_is_not_started(
    fill: t.Callable[[int], None], queue: str, broker: Broker
) -> None:
    """No attempt is burnt for a method that is missing, and no message is touched."""
    fill(1)

    class Unfinished(Consumer):
        pass

    with pytest.raises(TypeError, match=r"^Unfinished has no process_message\(\)"):
        Unfinished(Flask("shop"), url=broker.url, queue=queue, max_attempts=1).start()

    assert [b"0"] == broker.bodies(queue)


@pytest.mark.parametrize("taker", [Consumer, Publisher])
def test_what_is_not_an_app_is_refused(taker: type[t.Any]) -> None:
    """The error says what is wanted; the value may be a URL, and is not shown."""
    with pytest.raises(TypeError, match=f"^{taker.__name__} takes a Flask") as caught:
        taker("amqp://guest:secret@host")

    assert "secret" not in str(caught.value)


def test_a_setting_that_is_missing_is_looked_for_in_the_configuration() -> None:
    """The error says where it is to be set, and to what it can be overridden."""
    with pytest.raises(ValueError, match=r"MINE_QUEUE is not set in app\.config"):
        Consumer(Flask("shop"), config_prefix="MINE", url="amqp://host")


def test_the_old_spelling_is_the_same_class() -> None:
    """Programs that catch the old name catch the new one."""
    assert TerminatedConsumtion is TerminatedConsumption
