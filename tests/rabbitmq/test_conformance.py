"""RabbitMQ passes the suite that every broker plugin must pass."""

from __future__ import annotations

import secrets
import typing as t

import pika
import pytest
from signalbus.testing.conformance import BrokerConformance
from signalbus.testing.servers import ProxiedServer
from signalbus.testing.servers import ReceivedMessage


class RabbitMQ(ProxiedServer):
    """The broker of the environment, behind a proxy."""

    def __init__(self, url: str) -> None:
        """Stand before the broker at *url*."""
        self._parameters = pika.URLParameters(url)
        super().__init__(self._parameters.host, self._parameters.port)
        self._queues: list[str] = []

    def settings(self) -> dict[str, t.Any]:
        """Return the URL of the proxy."""
        return {"SIGNALBUS_RABBITMQ_URL": self._url()}

    def attributes(self) -> dict[str, t.Any]:
        """Declare a queue."""
        name = f"signalbus.{secrets.token_hex(6)}"
        with self._connect() as connection:
            connection.channel().queue_declare(name, durable=True)
        self._queues.append(name)
        return {"signalbus_exchange": "", "signalbus_routing_key": name}

    def refused_attributes(self) -> dict[str, t.Any]:
        """Return a queue that does not exist, so that messages are returned."""
        return {"signalbus_exchange": "", "signalbus_routing_key": "no such queue"}

    def read(self, attributes: dict[str, t.Any]) -> list[ReceivedMessage]:
        """Get what is in the queue, and leave it there."""
        queue, found = attributes["signalbus_routing_key"], []
        with self._connect() as connection:
            channel = connection.channel()
            count = channel.queue_declare(queue, passive=True).method.message_count
            for _ in range(count):
                _, properties, body = channel.basic_get(queue)
                found.append(
                    ReceivedMessage(
                        body,
                        properties.message_id,
                        properties.headers or {},
                        properties.type,
                        properties.content_type,
                    )
                )
        return found

    def clean(self) -> None:
        """Delete the queues."""
        with self._connect() as connection:
            for name in self._queues:
                connection.channel().queue_delete(name)

    def _connect(self) -> pika.BlockingConnection:
        return pika.BlockingConnection(self._parameters)

    def _url(self) -> str:
        credentials = self._parameters.credentials
        user = f"{credentials.username}:{credentials.password}"
        return f"amqp://{user}@{self.proxy.host}:{self.proxy.port}/%2F"


@pytest.fixture(scope="module")
def broker_server(broker_url: str) -> t.Iterator[RabbitMQ]:
    """Give the broker."""
    server = RabbitMQ(broker_url)
    server.start()
    yield server
    server.stop()
    server.clean()


class TestRabbitMQ(BrokerConformance):
    """Run all tests of the suite."""

    broker = "rabbitmq"
    timeout_setting = "SIGNALBUS_RABBITMQ_TIMEOUT"
