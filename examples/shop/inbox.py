"""Where the demo's messages arrive: in a file, or in a queue of their own."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
import typing as t

if t.TYPE_CHECKING:
    from pathlib import Path

    import pika
    from pika.adapters.blocking_connection import BlockingChannel

    from examples.shop.books import Message

SETTING = "SIGNALBUS_RABBITMQ_URL"

#: Returns all messages that have arrived.
Read: t.TypeAlias = "t.Callable[[], list[Message]]"


def open_inbox(folder: Path) -> contextlib.AbstractContextManager[Read]:
    """Tell the shop where to send its messages, by its environment."""
    url = os.environ.get(SETTING)
    return open_queue(url) if url else open_file(folder / "messages.jsonl")


@contextlib.contextmanager
def open_file(path: Path) -> t.Iterator[Read]:
    """Let the messages go to the file *path*."""
    os.environ["FLASK_FILE_BROKER_PATH"] = str(path)
    yield lambda: [
        (message["signal"], message["order_id"], message["customer"])
        for message in map(json.loads, path.read_text().splitlines())
    ]


@contextlib.contextmanager
def open_queue(url: str) -> t.Iterator[Read]:
    """Let the messages go to a queue, which is deleted in the end."""
    queue = os.environ["FLASK_SHOP_QUEUE"] = f"signalbus-shop-{secrets.token_hex(4)}"
    with open_channel(url) as channel:
        channel.queue_declare(queue, durable=True)
    try:
        yield lambda: read_queue(url, queue)
    finally:
        with open_channel(url) as channel:
            channel.queue_delete(queue)


def read_queue(url: str, queue: str) -> list[Message]:
    """Return, and remove, the messages in *queue*."""
    messages = []
    with open_channel(url) as channel:
        while (got := channel.basic_get(queue, auto_ack=True))[0]:
            _, properties, body = got
            order = json.loads(body)
            messages.append((properties.type, order["order_id"], order["customer"]))
    return messages


@contextlib.contextmanager
def open_channel(url: str) -> t.Iterator[BlockingChannel]:
    """Open a channel to RabbitMQ."""
    import pika  # comes with signalbus-rabbitmq

    try:
        connection = pika.BlockingConnection(_parameters(url))
    except (pika.exceptions.AMQPError, OSError) as error:
        reason = type(error).__name__
        sys.exit(f"The RabbitMQ of {SETTING} cannot be reached ({reason}).")
    with connection:
        yield connection.channel()


def _parameters(url: str) -> pika.URLParameters:
    """Parse *url*, or end the demo without a word of what may be a password."""
    import pika

    try:
        if url.startswith(("amqp://", "amqps://")):
            return pika.URLParameters(url)
    except Exception:  # noqa: BLE001, S110 pika raises what its parsers raise
        pass
    sys.exit(f"{SETTING} is malformed. Write amqp://USER:PASSWORD@HOST:PORT/VHOST.")
