"""The messages that a publisher takes."""

from __future__ import annotations

import copy
import typing as t

import pika

#: The AMQP properties of a message; pika's own class, since consumers get it from pika.
MessageProperties: t.TypeAlias = pika.BasicProperties

#: What a message without properties gets: it survives a restart of the broker.
PERSISTENT = MessageProperties(delivery_mode=2)


class Message(t.NamedTuple):
    """One message to publish.

    :param exchange: the name of the exchange; ``""`` is the default exchange, which
        takes the routing key for the name of a queue.
    :param routing_key: the routing key, at most 255 bytes.
    :param body: the content.
    :param properties: the AMQP properties. They are sent as given: set
        ``delivery_mode=2`` for a message that survives a restart of the broker. A
        message without properties is persistent.
    :param mandatory: whether it is a failure if no queue takes the message. If false,
        such a message is confirmed, and lost.
    """

    exchange: str
    routing_key: str
    body: bytes
    properties: MessageProperties | None = None
    mandatory: bool = False


def snapshot_all(messages: t.Iterable[Message]) -> t.Sequence[Message]:
    """Return all *messages*, each as it is when it is requested.

    A generator may use the same properties object for the next message.
    """
    if isinstance(messages, (list, tuple)):
        return messages
    return [_snapshot_of_message(message) for message in messages]


def snapshot(headers: t.Any) -> t.Any:
    """Return a copy of *headers* and of the dicts and lists in it."""
    if isinstance(headers, dict):
        return {name: snapshot(value) for name, value in headers.items()}
    if isinstance(headers, list):
        return [snapshot(value) for value in headers]
    return headers


def _snapshot_of_message(message: Message) -> Message:
    if not isinstance(message.properties, pika.BasicProperties):
        return message
    properties = copy.copy(message.properties)
    properties.headers = snapshot(properties.headers)
    return message._replace(properties=properties)
