"""RabbitMQ for signalbus: a publisher that knows what was confirmed, and a consumer."""

from __future__ import annotations

from signalbus_rabbitmq.consumer import Consumer
from signalbus_rabbitmq.exceptions import ConnectionError  # noqa: A004 the design's
from signalbus_rabbitmq.exceptions import DeliveryError
from signalbus_rabbitmq.exceptions import NackedError
from signalbus_rabbitmq.exceptions import QueueNotFoundError
from signalbus_rabbitmq.exceptions import RefusedError
from signalbus_rabbitmq.exceptions import ReturnedError
from signalbus_rabbitmq.exceptions import TerminatedConsumption
from signalbus_rabbitmq.exceptions import TerminatedConsumtion
from signalbus_rabbitmq.exceptions import TimeoutError  # noqa: A004 the design's
from signalbus_rabbitmq.exceptions import UnconfirmedError
from signalbus_rabbitmq.message import Message
from signalbus_rabbitmq.message import MessageProperties
from signalbus_rabbitmq.publisher import Publisher

__all__ = [
    "ConnectionError",
    "Consumer",
    "DeliveryError",
    "Message",
    "MessageProperties",
    "NackedError",
    "Publisher",
    "QueueNotFoundError",
    "RefusedError",
    "ReturnedError",
    "TerminatedConsumption",
    "TerminatedConsumtion",
    "TimeoutError",
    "UnconfirmedError",
]
