"""A queue of RabbitMQ for each measurement that needs one."""

from __future__ import annotations

import contextlib
import secrets
import typing as t

import pika

from benchmarks import services


class Queue:
    """A durable queue."""

    def __init__(self, name: str) -> None:
        self.name = name

    def empty(self) -> None:
        """Drop the messages in the queue."""
        with _channel() as channel:
            channel.queue_purge(self.name)

    def message_count(self) -> int:
        """Return how many messages are in the queue."""
        with _channel() as channel:
            answer = channel.queue_declare(self.name, passive=True)
        return int(answer.method.message_count)


@contextlib.contextmanager
def new_queue() -> t.Iterator[Queue]:
    """Declare a queue; delete it at the end."""
    name = f"signalbus_bench_{secrets.token_hex(4)}"
    with _channel() as channel:
        channel.queue_declare(name, durable=True)
    try:
        yield Queue(name)
    finally:
        with _channel() as channel:
            channel.queue_delete(name)


@contextlib.contextmanager
def _channel() -> t.Iterator[t.Any]:
    parameters = pika.URLParameters(services.url("rabbitmq"))
    connection = pika.BlockingConnection(parameters)
    try:
        yield connection.channel()
    finally:
        connection.close()
