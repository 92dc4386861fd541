"""Send the signals of one app to NATS."""

from __future__ import annotations

import math
import typing as t

from signalbus.brokers import CheckLine
from signalbus.brokers import PerProcess
from signalbus.brokers import Sender
from signalbus.exceptions import BrokerUnavailableError

if t.TYPE_CHECKING:
    from signalbus.brokers import WaitLimit
    from signalbus.messages import MessageBatch
    from signalbus.typing import SignalModel

    from signalbus_nats._link import Link
    from signalbus_nats._servers import Server

#: How long a connection may be silent before another one is tried, in seconds. A
#: firewall may have dropped it, or the leader of a stream may have changed.
PATIENCE = 5.0


class NATSSender(Sender):
    """Sends the signals of one app to NATS.

    It imports nats-py on first use, since apps may have no model that names NATS.

    :param setting: the name of the setting for the URL of the servers.
    :param options: further arguments for nats-py.
    """

    def __init__(
        self,
        setting: str,
        servers: t.Sequence[Server],
        options: t.Mapping[str, t.Any],
    ) -> None:
        self._setting = setting
        self._servers = servers
        self._options = options
        self._links = PerProcess(self._make_link, lambda link: link.close())

    def send(self, batch: MessageBatch, limit: WaitLimit) -> None:
        """Send the messages; if the connection is lost, once more over a new one.

        Ids are stable, so a stream drops messages that it gets over both.
        """
        from signalbus_nats._burst import Burst
        from signalbus_nats._connection import ConnectionLostError

        try:
            Burst(self._links.get(), batch, limit, PATIENCE).send()
        except ConnectionLostError:
            Burst(self._links.get(), batch, limit, math.inf).send()

    def check(
        self, models: t.Sequence[SignalModel], limit: WaitLimit
    ) -> t.Iterator[CheckLine]:
        """Check whether NATS can be reached, and has a stream for each subject."""
        from signalbus_nats import _check

        try:
            link = self._links.get()
            connection = link.connection(limit)
            yield CheckLine(f"NATS at {connection.server.address}")
            yield from _check.check(
                models, lambda packets: link.ask(connection, packets, limit)
            )
        except BrokerUnavailableError as error:
            yield CheckLine("NATS", str(error))

    def close(self) -> None:
        """Close the connection of this process."""
        self._links.discard()

    def _make_link(self) -> Link:
        from signalbus_nats._link import Link

        if not self._servers:
            raise BrokerUnavailableError(
                f"{self._setting} is not set in app.config, and models name NATS as"
                " their broker. Set it to the URL of the server; until then their"
                " signals stay pending."
            )
        return Link(self._servers, self._options)
