"""Send the signals of one app to its Kafka cluster."""

from __future__ import annotations

import time
import typing as t

from signalbus.brokers import CheckLine
from signalbus.brokers import PerProcess
from signalbus.brokers import Sender
from signalbus.exceptions import BrokerTimeoutError
from signalbus.exceptions import BrokerUnavailableError

from signalbus_kafka._settings import SETTING
from signalbus_kafka._topics import check_topics

if t.TYPE_CHECKING:
    from signalbus.brokers import WaitLimit
    from signalbus.messages import MessageBatch
    from signalbus.typing import SignalModel

    from signalbus_kafka._client import Client
    from signalbus_kafka._delivery import Delivery
    from signalbus_kafka._settings import ClientSettings
    from signalbus_kafka._topics import ClusterMetadata

#: How many producers a burst may lose because they failed permanently, or sent a part
#: of it without getting an answer.
MAX_LOST: t.Final = 2


class KafkaSender(Sender):
    """Sends the signals of one app to its Kafka cluster.

    The client library is imported when the first message is sent.
    """

    def __init__(self, settings: ClientSettings | None) -> None:
        self._settings = settings
        self._clients: PerProcess[Client] = PerProcess(
            self._make_client, lambda client: client.close()
        )

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Send the messages of *batch*, and return when Kafka has confirmed them.

        When it returns or raises, none of its messages will be sent any more.
        """
        from signalbus_kafka._delivery import Delivery

        began, lost = time.monotonic(), 0
        while True:
            delivery = Delivery(self._clients.get(), batch, limit, began)
            try:
                delivery.run()
            finally:
                self._take_back(delivery)
            lost += delivery.has_lost or delivery.client.outlook.fatal is not None
            if batch.is_settled:
                return
            if delivery.is_hopeless or lost >= MAX_LOST:
                raise self._unavailable(delivery.client)

    def check(
        self, models: t.Sequence[SignalModel], limit: WaitLimit
    ) -> t.Iterator[CheckLine]:
        """Check whether the cluster can be reached, and has the topics of *models*."""
        try:
            metadata = self._metadata(limit)
        except BrokerUnavailableError as error:
            problem = str(error).replace(f"{self._name} ", "it ", 1)
            yield CheckLine(self._name, problem)
            return
        count = len(metadata.brokers)
        yield CheckLine(self._name, good=f"ok (brokers: {count})")
        yield from check_topics(models, metadata)

    def close(self) -> None:
        """Close the connections of this process."""
        self._clients.discard()

    def _take_back(self, delivery: Delivery) -> None:
        """Make sure that no unconfirmed message will be sent any more.

        Kafka may still store messages that it has received and not answered.
        """
        client = delivery.client
        if delivery.is_open and not client.outlook.has_sent:
            client.take_back()  # and go on connecting: the next burst may need it
            delivery.await_purged()
        if delivery.is_open or not client.is_usable:
            self._clients.discard(client)
            client.close()  # another thread may just do that: wait for it
            delivery.settle()
            delivery.give_up()

    def _make_client(self) -> Client:
        from signalbus_kafka._client import Client

        if self._settings is None:
            raise BrokerUnavailableError(
                f"{SETTING} is not set in app.config, and models name 'kafka' as their"
                " broker. Set it to a mapping with 'bootstrap.servers'; until then,"
                " their signals stay pending."
            )
        return Client(self._settings)

    def _metadata(self, limit: WaitLimit) -> ClusterMetadata:
        """Return the metadata of the cluster's topics."""
        client, began = self._clients.get(), time.monotonic()
        while (metadata := client.topics(None, limit.remaining())) is None:
            client.serve(0)
            if limit.is_over or client.is_down(began) or not client.is_usable:
                raise self._unavailable(client)
        return metadata

    def _unavailable(self, client: Client) -> BrokerUnavailableError:
        """Return the error that says why *client* does not work."""
        problem = client.problem
        if problem is not None:
            return BrokerUnavailableError(
                f"{self._name} is unavailable: {problem}. Start it, or correct"
                f" {SETTING}."
            )
        return BrokerTimeoutError(
            f"{self._name} did not confirm in time. It may hang, or a topic has too few"
            " replicas in sync."
        )

    @property
    def _name(self) -> str:
        return f"Kafka at {self._settings.servers}" if self._settings else "Kafka"
