"""Move signals to RabbitMQ: persistent messages, all confirmed."""

from __future__ import annotations

import importlib
import struct
import threading
import typing as t

import pika.frame
import pika.spec

from benchmarks import program
from benchmarks import spec


def to_queue(job: spec.Job) -> dict[str, t.Any]:
    """Return what a model declares whose text is a message to the queue."""
    return {
        "signalbus_broker": "rabbitmq",
        "signalbus_exchange": "",
        "signalbus_routing_key": job.queue,
        "signalbus_body": staticmethod(lambda signal: signal.payload.encode()),
        "signalbus_content_type": "text/plain",
    }


def by_plugin(job: spec.Job, **attributes: t.Any) -> spec.Steps:
    """Flush a model that names its broker; its text is the message."""
    with program.running(job) as running:
        yield from running.flush(job, **attributes, **to_queue(job))


def by_publisher(job: spec.Job) -> spec.Steps:
    """Flush a model that publishes its own bursts; the text is the message."""
    rabbitmq = importlib.import_module("flask_signalbus.rabbitmq")
    persistent = rabbitmq.MessageProperties(delivery_mode=2)

    def send(_: object, signals: t.Iterable[t.Any]) -> None:
        bodies = [signal.payload.encode() for signal in signals]
        messages = [rabbitmq.Message("", job.queue, it, persistent) for it in bodies]
        publisher.publish_messages(messages)

    with program.running(job) as running:
        publisher = rabbitmq.Publisher(running.app)
        yield from running.flush(
            job,
            send_signalbus_message=lambda signal: send(None, [signal]),
            send_signalbus_messages=classmethod(send),
        )


def by_socket(job: spec.Job) -> spec.Steps:
    """Write the same encoded message again and again; count confirms as they come."""
    from benchmarks import queues  # the predecessor's environment lacks its packages

    method = pika.spec.Basic.Publish(exchange="", routing_key=job.queue)
    properties = pika.spec.BasicProperties(delivery_mode=2)
    frames = (
        pika.frame.Method(1, method),
        pika.frame.Header(1, 100, properties),
        pika.frame.Body(1, b"x" * 100),
    )
    message = b"".join(frame.marshal() for frame in frames)
    with queues.rabbitmq() as connection:
        connection.channel().confirm_select()
        confirms = Confirms()
        for count in (1000, job.size):
            confirms.awaited += count
            write, what = connection.sock.sendall, message * count
            threading.Thread(target=write, args=[what]).start()
            while confirms.complete < confirms.awaited:
                confirms.feed(connection.sock.recv(64 * 1024))
            yield None


class Confirms:
    """Count confirms; all messages up to the number *complete* have one."""

    #: The frame: type, channel, length, method, number, whether all up to it, end.
    ACK = struct.Struct(">BHIIQ?B")

    def __init__(self) -> None:
        self.complete = self.awaited = 0
        self._beyond: set[int] = set()
        self._data = b""

    def feed(self, data: bytes) -> None:
        """Take what came over the socket: confirms, and nothing else."""
        data = self._data + data
        end = len(data) - len(data) % self.ACK.size
        self._data = data[end:]
        for *_, method, number, is_multiple, _ in self.ACK.iter_unpack(data[:end]):
            if method != pika.spec.Basic.Ack.INDEX:
                raise RuntimeError("RabbitMQ sent something other than a confirm")
            self._beyond.add(number)
            if is_multiple:
                self.complete = max(self.complete, number)
                self._beyond = {each for each in self._beyond if each > number}
            while self.complete + 1 in self._beyond:
                self.complete += 1
                self._beyond.remove(self.complete)


PLUGIN = spec.Subject(spec.OURS, by_plugin)
LONG = {"schema": "https://example.com/signals.json", "version": 1}
HEADERS = spec.Subject(spec.OURS, by_plugin, {"signalbus_headers": LONG})
THEIRS = spec.Subject(spec.THEIRS, by_publisher, library="flask_signalbus")
SOCKET = spec.Subject(f"{spec.LIMIT}: bare socket", by_socket, empties_table=False)
GOAL = spec.Goal(0.8, spec.LIMIT)


def _case(name: str, title: str, *who: spec.Subject, **options: t.Any) -> spec.Case:
    options = {"burst": 5000, "queue": "rabbitmq", **options}
    return spec.Case(name, f"to RabbitMQ, {title}", who, **options)


CASES = (
    _case("rabbitmq", "bursts of 5000", PLUGIN, THEIRS, SOCKET, goal=GOAL),
    _case("rabbitmq-burst/1", "bursts of 1", PLUGIN, size=3_000, burst=1),
    _case("rabbitmq-burst/100", "bursts of 100", PLUGIN, size=20_000, burst=100),
    _case("rabbitmq-headers", "properties of more than 64 bytes", HEADERS),
    _case("rabbitmq-processes/2", "two processes", PLUGIN, processes=2),
)
