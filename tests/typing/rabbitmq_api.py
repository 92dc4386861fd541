"""RabbitMQ as users write it: this file is checked, and never run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy.orm as sa_orm
from flask import Flask
from signalbus_rabbitmq import ConnectionError as RabbitConnectionError
from signalbus_rabbitmq import Consumer
from signalbus_rabbitmq import DeliveryError
from signalbus_rabbitmq import Message
from signalbus_rabbitmq import MessageProperties
from signalbus_rabbitmq import Publisher
from signalbus_rabbitmq import TerminatedConsumption
from signalbus_rabbitmq import TimeoutError as RabbitTimeoutError
from typing_extensions import assert_type

if TYPE_CHECKING:
    from signalbus import BrokerUnavailableError


class Base(sa_orm.DeclarativeBase):
    """The base of all models."""


class OrderPaid(Base):
    """A signal that goes to RabbitMQ."""

    __tablename__ = "order_paid"
    id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)
    signalbus_broker = "rabbitmq"
    signalbus_exchange = "orders"

    @property
    def signalbus_routing_key(self) -> str:
        """Where it goes."""
        return f"order.{self.id}"


class OrderConsumer(Consumer):
    """A consumer."""

    def process_message(self, body: bytes, properties: MessageProperties) -> bool:
        """Process one."""
        return bool(body)


app = Flask(__name__)
publisher = Publisher(app, url_config_key="SHOP_RABBITMQ_URL")
message = Message("orders", "order.1", b"{}", MessageProperties(), mandatory=True)
assert_type(message.body, bytes)

try:
    publisher.publish_messages([message], timeout=5, allow_retry=False)
except (RabbitConnectionError, RabbitTimeoutError) as unavailable:
    error: BrokerUnavailableError = unavailable
except DeliveryError as delivery:
    assert_type(delivery.failures, dict[int, Exception])

consumer = OrderConsumer(app, draining_mode=True, threads=4)
try:
    consumer.start()
except TerminatedConsumption:
    consumer.stop()
