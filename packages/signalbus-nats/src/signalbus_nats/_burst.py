"""Send a burst over a connection, and settle its messages by the replies."""

from __future__ import annotations

import collections
import typing as t

from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import MessageRefusedError
from signalbus.logs import get_logger

from signalbus_nats._acks import is_plain_ack
from signalbus_nats._acks import read_ack
from signalbus_nats._api import NO_RESPONDERS
from signalbus_nats._duplicates import find_others
from signalbus_nats._packets import make_packet
from signalbus_nats._unclaimed import explain

if t.TYPE_CHECKING:
    from signalbus.brokers import WaitLimit
    from signalbus.messages import MessageBatch

    from signalbus_nats._duplicates import Duplicate
    from signalbus_nats._exchange import Reply
    from signalbus_nats._link import Link
    from signalbus_nats._link import Running
    from signalbus_nats._packets import Packet

logger = get_logger("signalbus.nats")

#: How much is passed to the event loop at once.
CHUNK = 250
CHUNK_BYTES = 1_000_000

#: How many chunks may wait for their replies.
MAX_UNDER_WAY = 8

OTHERS = (
    "%d messages of %s had the ids of other messages in the stream, and were sent with"
    " new ids. Do not reuse primary keys."
)


class Burst:
    """The unsettled messages of *batch*, sent over one connection.

    :param patience: how long NATS may be silent before the connection is abandoned.
    """

    def __init__(
        self, link: Link, batch: MessageBatch, limit: WaitLimit, patience: float
    ) -> None:
        self._link = link
        self._connection = link.connection(limit)
        self._batch = batch
        self._limit = limit
        self._patience = patience
        self._under_way: collections.deque[Running] = collections.deque()
        self._unclaimed: list[Packet] = []
        self._duplicates: list[Duplicate] = []

    def send(self) -> None:
        """Send the messages, and settle each.

        :raises ConnectionLostError: if the connection is lost meanwhile.
        :raises BrokerTimeoutError: if NATS did not answer in time.
        """
        try:
            self._publish(self._packets())
            self._settle_duplicates()
            self._settle_unclaimed()
        finally:
            while self._under_way:
                self._finish(self._under_way.popleft())

    def _packets(self) -> t.Iterator[Packet]:
        max_payload = self._connection.max_payload
        for message in self._batch:
            try:
                packet = make_packet(message, max_payload)
            except MessageRefusedError as error:
                self._batch.fail(message.position, error)
            else:
                yield packet

    def _publish(self, packets: t.Iterable[Packet]) -> None:
        for chunk in _chunks(packets):
            self._under_way.append(self._link.publish(self._connection, chunk))
            if len(self._under_way) == MAX_UNDER_WAY:
                self._wait_for_first()
        while self._under_way:
            self._wait_for_first()

    def _wait_for_first(self) -> None:
        self._link.wait(self._under_way[0], self._limit, self._patience)
        self._finish(self._under_way.popleft())

    def _finish(self, running: Running) -> None:
        """Settle the messages that were answered so far."""
        running.abandon()
        for reply in running.replies:
            self._settle(reply)

    def _settle(self, reply: Reply) -> None:
        packet = reply.packet
        if is_plain_ack(reply):
            self._batch.confirm(packet.position)
            return
        if reply.status == NO_RESPONDERS:
            self._unclaimed.append(packet)
            return
        try:
            ack = read_ack(reply)
        except (MessageRefusedError, BrokerUnavailableError) as error:
            self._batch.fail(packet.position, error)
            return
        if ack.get("duplicate"):
            self._duplicates.append((packet, ack))
        else:
            self._batch.confirm(packet.position)

    def _settle_duplicates(self) -> None:
        """Confirm the messages that the stream has; send the rest with other ids."""
        if not self._duplicates:
            return
        declaration = self._batch.declaration
        others = find_others(self._ask, self._duplicates, declaration)
        again = {packet.position for packet in others}
        for packet, _ in self._duplicates:
            if packet.position not in again:
                self._batch.confirm(packet.position)
        if others:
            logger.info(OTHERS, len(others), declaration.model.__name__)
        self._publish(others)

    def _settle_unclaimed(self) -> None:
        if self._unclaimed:
            for position, error in explain(self._ask, self._unclaimed):
                self._batch.fail(position, error)

    def _ask(self, packets: t.Sequence[Packet]) -> list[Reply]:
        return self._link.ask(self._connection, packets, self._limit)


def _chunks(packets: t.Iterable[Packet]) -> t.Iterator[list[Packet]]:
    """Yield *packets* in lists of limited length and size."""
    chunk: list[Packet] = []
    size = 0
    for packet in packets:
        chunk.append(packet)
        size += len(packet.body)
        if len(chunk) == CHUNK or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
