"""Receive the demo's messages, from a file or from a queue."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
import typing as t

import pika
from flask import Flask
from signalbus_rabbitmq import Consumer
from signalbus_rabbitmq import MessageProperties

if t.TYPE_CHECKING:
    from pathlib import Path

    from pika.adapters.blocking_connection import BlockingChannel

    from examples.shop.books import Message

SETTING = "SIGNALBUS_RABBITMQ_URL"

#: Returns the messages that have arrived.
Read: t.TypeAlias = "t.Callable[[], list[Message]]"


def open_inbox(folder: Path) -> contextlib.AbstractContextManager[Read]:
    """Configure where the shop sends its messages, through environment variables."""
    url = os.environ.get(SETTING)
    return open_queue(url) if url else open_file(folder / "messages.jsonl")


@contextlib.contextmanager
def open_file(path: Path) -> t.Iterator[Read]:
    """Have the messages sent to the file *path*."""
    os.environ["FLASK_FILE_BROKER_PATH"] = str(path)
    yield lambda: [
        (message["signal"], message["order_id"], message["customer"])
        for message in map(json.loads, path.read_text().splitlines())
    ]


@contextlib.contextmanager
def open_queue(url: str) -> t.Iterator[Read]:
    """Have the messages sent to a new queue, which is deleted at the end."""
    queue = os.environ["FLASK_SHOP_QUEUE"] = f"signalbus-shop-{secrets.token_hex(4)}"
    with open_channel(url) as channel:
        channel.queue_declare(queue, durable=True)
    try:
        yield lambda: read_queue(url, queue)
    finally:
        with open_channel(url) as channel:
            channel.queue_delete(queue)


class Inbox(Consumer):
    """Keep valid messages, and reject the others.

    A consumer that processes messages, say in a database, may raise an exception: the
    message is then tried again later.
    """

    def __init__(self, app: Flask, url: str, queue: str) -> None:
        super().__init__(app, url=url, queue=queue, draining_mode=True)
        self.messages: list[Message] = []

    def process_message(self, body: bytes, properties: MessageProperties) -> bool:
        """Return whether *body* is an order; `False` makes it a dead letter."""
        try:
            order = json.loads(body)
            message = (properties.type, order["order_id"], order["customer"])
        except (ValueError, LookupError, TypeError):
            return False
        self.messages.append(message)
        return True


def read_queue(url: str, queue: str) -> list[Message]:
    """Remove the messages from *queue*, and return them."""
    inbox = Inbox(Flask(__name__), url, queue)
    inbox.start()
    return inbox.messages


@contextlib.contextmanager
def open_channel(url: str) -> t.Iterator[BlockingChannel]:
    """Open a channel to RabbitMQ."""
    try:
        connection = pika.BlockingConnection(_parameters(url))
    except (pika.exceptions.AMQPError, OSError) as error:
        reason = type(error).__name__
        sys.exit(f"The RabbitMQ of {SETTING} cannot be reached ({reason}).")
    with connection:
        yield connection.channel()


def _parameters(url: str) -> pika.URLParameters:
    """Parse *url*, or end the demo without printing what may be a password."""
    try:
        if url.startswith(("amqp://", "amqps://")):
            return pika.URLParameters(url)
    except Exception:  # noqa: BLE001, S110 pika raises what its parsers raise
        pass
    sys.exit(f"{SETTING} is malformed. Write amqp://USER:PASSWORD@HOST:PORT/VHOST.")
