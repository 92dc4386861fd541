"""Kafka passes the suite that every broker plugin must pass, on the mock cluster."""

from __future__ import annotations

import typing as t

import pytest
from signalbus.testing.conformance import BrokerConformance
from signalbus.testing.servers import BrokerServer
from signalbus.testing.servers import ReceivedMessage

if t.TYPE_CHECKING:
    from conftest import Cluster


class Kafka(BrokerServer):
    """The mock cluster, as the suite sees it."""

    def __init__(self, cluster: Cluster) -> None:
        """Use *cluster*."""
        self._cluster = cluster

    def settings(self) -> dict[str, t.Any]:
        """Return where it is; topics are not created by themselves."""
        return {
            "SIGNALBUS_KAFKA": {
                "bootstrap.servers": self._cluster.servers,
                "allow.auto.create.topics": False,
            }
        }

    def attributes(self) -> dict[str, t.Any]:
        """Create a topic."""
        return {"signalbus_topic": self._cluster.topic()}

    def refused_attributes(self) -> dict[str, t.Any]:
        """Return a topic that does not exist."""
        return {"signalbus_topic": "no-such-topic"}

    def read(self, attributes: dict[str, t.Any]) -> list[ReceivedMessage]:
        """Read all of the topic."""
        found = []
        for message in self._cluster.read(attributes["signalbus_topic"]):
            headers = {name: value.decode() for name, value in message.headers() or ()}
            found.append(
                ReceivedMessage(
                    body=t.cast("bytes", message.value()),
                    id=headers["message-id"],
                    headers=headers,
                    type=headers["message-type"],
                    content_type=headers["content-type"],
                )
            )
        return found

    def start(self) -> None:
        """Take connections."""
        self._cluster.start()

    def stop(self) -> None:
        """Refuse connections."""
        self._cluster.stop()

    def freeze(self) -> None:
        """Answer nothing."""
        self._cluster.freeze()

    def thaw(self) -> None:
        """Answer again."""
        self._cluster.thaw()

    def drop_connections(self) -> None:
        """End all connections, and take new ones."""
        self._cluster.stop()
        self._cluster.start()


@pytest.fixture(scope="module")
def broker_server(running_cluster: Cluster) -> Kafka:
    """Give the mock cluster."""
    return Kafka(running_cluster)


class TestKafka(BrokerConformance):
    """Run all tests of the suite."""

    broker = "kafka"
    timeout_setting = "SIGNALBUS_KAFKA_TIMEOUT"
