"""Who is told to stop does not wait for a broker, and loses nothing."""

from __future__ import annotations

import contextlib
import gc
import signal
import socket
import subprocess
import sys
import threading
import typing as t
import weakref

import pytest
import signalbus_rabbitmq
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from signalbus import BrokerUnavailableError
from signalbus import SignalBus
from signalbus.stopping import StopToken
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

if t.TYPE_CHECKING:
    from conftest import Broker
    from conftest import Node
    from conftest import Proxy
    from flask import Flask
    from signalbus_rabbitmq import Consumer
    from signalbus_rabbitmq import Message
    from signalbus_rabbitmq import Publisher

MakePublisher: t.TypeAlias = "t.Callable[[str], Publisher]"
MakeMessages: t.TypeAlias = "t.Callable[..., list[Message]]"

COUNT = 5000

#: Longer than a test may take: who waits for that long has not been told to stop.
LONG = 600


class Listener:
    """A port where connections are taken, and nothing is said."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server
        self.port = server.getsockname()[1]
        self.url = f"amqp://user:secret@127.0.0.1:{self.port}/?stack_timeout={LONG}"

    def accept(self) -> None:
        """Return when somebody connects."""
        self.accepted, _ = self._server.accept()


@pytest.fixture
def listener() -> t.Iterator[Listener]:
    """Give a port where nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield (listener := Listener(server))
        listener.accepted.close()


@pytest.fixture
def token() -> t.Iterator[StopToken]:
    """Give a token that is active in the thread of the test."""
    token = StopToken()
    with token.active():
        yield token


@pytest.fixture
def stop_after(token: StopToken) -> t.Iterator[t.Callable[..., None]]:
    """Stop the token with ``stop_after(wait)``, in another thread, after the wait."""
    with contextlib.ExitStack() as stack:

        def stop_after(wait: t.Callable[[], object]) -> None:
            def stop() -> None:
                wait()
                token.stop()

            thread = threading.Thread(target=stop)
            thread.start()
            stack.callback(thread.join)

        yield stop_after


def arrival(broker: Broker, queue: str) -> t.Callable[[], None]:
    """Return what waits for a message in *queue*, and leaves it there."""

    def wait() -> None:
        with broker.channel() as channel:
            while not channel.queue_declare(queue, passive=True).method.message_count:
                pass

    return wait


def test_a_wait_for_a_connection_ends(
    listener: Listener,
    publisher_to: MakePublisher,
    messages_to: MakeMessages,
    stop_after: t.Callable[..., None],
) -> None:
    """Nothing was sent, and the error says so: the broker counts as unavailable."""
    stop_after(listener.accept)

    with pytest.raises(BrokerUnavailableError, match="told to stop") as caught:
        publisher_to(listener.url).publish_messages(messages_to("q", 3), timeout=LONG)

    assert f"127.0.0.1:{listener.port}" in str(caught.value)
    assert isinstance(caught.value, signalbus_rabbitmq.TimeoutError)
    assert [0, 1, 2] == list(caught.value.failures)


def test_a_wait_for_confirms_ends(
    proxy: Proxy,
    broker: Broker,
    queue: str,
    publisher_to: MakePublisher,
    messages_to: MakeMessages,
    stop_after: t.Callable[..., None],
) -> None:
    """A broker that has fallen silent is not waited for."""
    publisher = publisher_to(proxy.url)
    publisher.publish_messages(messages_to(queue, 1))
    assert [b"0"] == broker.bodies(queue)
    proxy.silence()
    stop_after(arrival(broker, queue))

    with pytest.raises(signalbus_rabbitmq.TimeoutError, match="told to stop"):
        publisher.publish_messages(messages_to(queue, 3), timeout=LONG)


def test_a_wait_for_the_end_of_an_alarm_ends(
    node: Node,
    node_proxy: Proxy,
    publisher_to: MakePublisher,
    messages_to: MakeMessages,
    token: StopToken,
) -> None:
    """Nothing is on its way while the broker takes nothing."""
    queue = node.queue()
    publisher = publisher_to(f"{node_proxy.url}?blocked_connection_timeout={LONG}")
    publisher.publish_messages(messages_to(queue, 1))
    node_proxy.blocked = token.stop
    node.control("set_vm_memory_high_watermark", "0.0000001")
    try:
        with pytest.raises(signalbus_rabbitmq.TimeoutError, match="told to stop"):
            publisher.publish_messages(messages_to(queue, COUNT), timeout=LONG)
    finally:
        node.control("set_vm_memory_high_watermark", "0.4")


def test_an_idle_connection_lets_go_of_the_token(
    publisher: Publisher, queue: str, messages_to: MakeMessages
) -> None:
    """A token ends with those who use it. Its connection is used, and closed, later."""
    token = StopToken()
    with token.active():
        publisher.publish_messages(messages_to(queue, 1))
    gone = weakref.ref(token)
    del token
    gc.collect()

    assert gone() is None
    publisher.publish_messages(messages_to(queue, 1))
    publisher.close()


def test_a_process_that_was_not_stopped_ends_in_silence(broker: Broker) -> None:
    """At exit, tokens are closed before connections are."""
    queue = broker.queue()
    program = f"""
import flask
from signalbus.stopping import StopToken
from signalbus_rabbitmq import Message, Publisher
app = flask.Flask("shop")
app.config["SIGNALBUS_RABBITMQ_URL"] = {broker.url!r}
publisher, token = Publisher(app), StopToken()
with token.active():
    publisher.publish_messages([Message("", {queue!r}, b"0")])
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 our own program

    assert ("", "") == (done.stdout, done.stderr)


def test_a_lost_connection_is_not_opened_again(
    proxy: Proxy,
    queue: str,
    publisher_to: MakePublisher,
    messages_to: MakeMessages,
    token: StopToken,
) -> None:
    """What was not confirmed is left to the next run."""
    proxy.limit = 100_000

    def lose() -> None:
        token.stop()
        proxy.hang_up()

    proxy.acked = lose

    with pytest.raises(signalbus_rabbitmq.DeliveryError) as caught:
        publisher_to(proxy.url).publish_messages(messages_to(queue, COUNT))

    assert isinstance(caught.value, BrokerUnavailableError)
    assert 0 < len(caught.value.failures) < COUNT
    assert 1 == proxy.accepted


def test_a_batch_at_hand_is_finished(
    proxy: Proxy,
    broker: Broker,
    queue: str,
    publisher_to: MakePublisher,
    messages_to: MakeMessages,
    token: StopToken,
) -> None:
    """A broker that works gets all of it, and each message once."""
    proxy.acked = token.stop

    publisher_to(proxy.url).publish_messages(messages_to(queue, COUNT))

    assert token.is_stopping
    assert [b"%d" % n for n in range(COUNT)] == broker.bodies(queue)


def test_signals_of_a_burst_that_is_given_up_stay(
    new_app: t.Callable[..., Flask],
    proxy: Proxy,
    broker: Broker,
    queue: str,
    stop_after: t.Callable[..., None],
) -> None:
    """A flush that is told to stop ends with an error, and the rows are there."""
    app = new_app(
        "sqlite://",
        SIGNALBUS_RABBITMQ_URL=proxy.url,
        SIGNALBUS_RABBITMQ_TIMEOUT=LONG,
    )
    db = SQLAlchemy(app)
    bus = SignalBus(db)

    class Paid(db.Model):  # type: ignore[name-defined,misc]
        id: Mapped[int] = mapped_column(primary_key=True)
        signalbus_autoflush = False
        signalbus_broker = "rabbitmq"
        signalbus_exchange = ""
        signalbus_routing_key = queue

    with app.app_context():
        db.create_all()
        db.session.add(Paid())
        db.session.commit()
        bus.flushmany()
        assert 1 == len(broker.bodies(queue))
        db.session.add_all([Paid(), Paid()])
        db.session.commit()
        proxy.silence()
        stop_after(arrival(broker, queue))

        with pytest.raises(BrokerUnavailableError, match="told to stop"):
            bus.flushmany()

        assert 2 == db.session.scalar(sa.select(sa.func.count(Paid.id)))


def test_a_consumer_does_not_wait_for_a_connection(
    listener: Listener, consumer_of: t.Callable[..., Consumer]
) -> None:
    """It was told to stop, so it is no error that it could not consume."""
    consumer = consumer_of("queue", lambda body: True, url=listener.url)
    thread = threading.Thread(target=consumer.start)
    thread.start()
    listener.accept()

    consumer.stop()

    thread.join(30)
    assert not thread.is_alive()


def test_what_is_processed_may_still_publish(
    publisher: Publisher,
    broker: Broker,
    queue: str,
    messages_to: MakeMessages,
    consumer_of: t.Callable[..., Consumer],
) -> None:
    """A stop ends the consumer's own waits; the message at hand is finished."""
    answers = broker.queue()
    publisher.publish_messages(messages_to(queue, 1))

    def process(body: bytes) -> bool:
        consumer.stop()
        publisher.publish_messages(messages_to(answers, 1))
        return True

    consumer = consumer_of(queue, process)
    consumer.start()

    assert ([], [b"0"]) == (broker.bodies(queue), broker.bodies(answers))


def test_a_process_does_not_wait_for_a_connection(
    listener: Listener, interpreter: t.Callable[..., subprocess.Popen[str]]
) -> None:
    """SIGTERM ends `start()` of a program of one's own at once, and cleanly."""
    program = f"""
import signal
from flask import Flask
from signalbus_rabbitmq import Consumer

class Reader(Consumer):
    def process_message(self, body, properties):
        return True

reader = Reader(Flask("shop"), url="{listener.url}", queue="queue")
signal.signal(signal.SIGTERM, reader.stop)
reader.start()
print("ended")
"""
    process = interpreter(program)
    listener.accept()

    process.send_signal(signal.SIGTERM)

    assert "ended\n" == process.communicate(timeout=30)[0]
