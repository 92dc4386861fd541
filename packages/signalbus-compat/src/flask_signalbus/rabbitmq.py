"""RabbitMQ, under its old name. It needs pika, so only your own code imports it."""

from __future__ import annotations

from signalbus_rabbitmq import ConnectionError  # noqa: A004 the old name
from signalbus_rabbitmq import Consumer
from signalbus_rabbitmq import DeliveryError
from signalbus_rabbitmq import Message
from signalbus_rabbitmq import MessageProperties
from signalbus_rabbitmq import Publisher
from signalbus_rabbitmq import TerminatedConsumption
from signalbus_rabbitmq import TerminatedConsumtion
from signalbus_rabbitmq import TimeoutError  # noqa: A004 the old name

__all__ = [
    "ConnectionError",
    "Consumer",
    "DeliveryError",
    "Message",
    "MessageProperties",
    "Publisher",
    "TerminatedConsumption",
    "TerminatedConsumtion",
    "TimeoutError",
]
