"""A connection to a server, over which packets are published and answered.

Everything here must be used in the thread of the event loop, unless stated otherwise.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import typing as t

import nats.errors
from nats.aio.client import Client
from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import MessageRefusedError

from signalbus_nats._event_loop import Parts
from signalbus_nats._exchange import Exchange
from signalbus_nats._exchange import Reply

if t.TYPE_CHECKING:
    from nats.aio.msg import Msg

    from signalbus_nats._packets import Packet
    from signalbus_nats._servers import Server

#: How long each step of connecting may take, in seconds.
CONNECT_TIMEOUT = 5

#: The interval between pings to the server, in seconds, and how many may remain
#: unanswered.
PING_INTERVAL = 30
MISSING_PONGS = 2

#: How long a connection may take to close, in seconds.
CLOSE_TIMEOUT = 0.5

#: The error of the server for a missing permission, which nats-py turns to lower case.
_FORBIDDEN = re.compile(
    r'permissions violation for (publish|subscription) to "(.*?)"', re.IGNORECASE
)

#: The errors of nats-py that are not about a packet.
_LOST = (
    nats.errors.ConnectionClosedError,
    nats.errors.ConnectionDrainingError,
    nats.errors.OutboundBufferLimitError,
)


class ConnectionLostError(BrokerUnavailableError):
    """The connection to NATS was lost. Its signals stay pending until it is back."""


class ForbiddenError(BrokerUnavailableError):
    """The server does not grant this user the permissions that are needed."""


class NoTLSError(Exception):
    """The server does not offer TLS."""


class Connection:
    """A connection to *server*. It does not reconnect once it is lost."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._client = Client()
        self._inbox = ""
        self._tokens = itertools.count()
        self._awaited: dict[str, tuple[Exchange, Packet]] = {}
        self._publishing = asyncio.Lock()
        self._parts = Parts()
        self._is_open = False
        self._failure: Exception | None = None
        #: Whether it was abandoned, and must be closed. May be set in any thread.
        self.is_given_up = False

    async def open(self, options: t.Mapping[str, t.Any]) -> None:
        """Connect.

        :param options: further arguments for nats-py.
        :raises Exception: if it fails. Then it must be closed nevertheless.
        """
        with self._parts.recorded():
            await self._client.connect(
                servers=[self.server.url],
                error_cb=self._on_error,
                closed_cb=self._on_closed,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=CONNECT_TIMEOUT,
                ping_interval=PING_INTERVAL,
                max_outstanding_pings=MISSING_PONGS,
                **{**self.server.login, **options},
            )
            if not self._client.is_connected:
                raise ConnectionLostError
            if self.server.scheme == "tls" and not self._parts.is_encrypted:
                raise NoTLSError
            self._inbox = f"{self._client.new_inbox()}."
            await self._client.subscribe(f"{self._inbox}*", cb=self._on_reply)
            await self._client.flush(CONNECT_TIMEOUT)  # errors come before the pong
        self._is_open = True
        if self._failure is not None:
            raise self._failure

    @property
    def is_lost(self) -> bool:
        """Whether nothing can be sent any more. May be read in any thread."""
        is_lost = self._failure is not None or self._client.is_closed
        return is_lost or self.is_given_up

    @property
    def max_payload(self) -> int:
        """How many bytes a packet may have. May be read in any thread."""
        return self._client.max_payload

    @property
    def received(self) -> int:
        """How many replies have arrived so far. May be read in any thread."""
        return self._client.stats["in_msgs"]

    async def exchange(self, exchange: Exchange) -> None:
        """Publish packets, in their order, and return when there is a reply to each.

        :raises ConnectionLostError: if no more replies will arrive.
        """
        end = asyncio.get_running_loop().create_future()
        exchange.begin(end)
        tokens: list[str] = []
        try:
            async with self._publishing:
                await self._publish(exchange, tokens)
            await end
        finally:
            for token in tokens:
                self._awaited.pop(token, None)

    async def close(self) -> None:
        """Close the connection soon, whether or not the server reads."""
        is_idle = not self._awaited
        self._lose(ConnectionLostError())
        if is_idle:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(self._client.close(), CLOSE_TIMEOUT)
        self._parts.end()

    async def _publish(self, exchange: Exchange, tokens: list[str]) -> None:
        publish = self._client.publish
        for packet in exchange.packets:
            if exchange.is_abandoned:  # nats-py swallows a cancellation
                return
            if self._failure is not None:
                raise self._failure
            token = str(next(self._tokens))
            tokens.append(token)
            self._awaited[token] = (exchange, packet)
            reply = f"{self._inbox}{token}"
            try:
                await publish(packet.subject, packet.body, reply, packet.headers)
            except _LOST as error:
                raise ConnectionLostError from error
            except (nats.errors.Error, ValueError, TypeError) as error:
                del self._awaited[token]
                exchange.add(Reply(packet, error=error))

    async def _on_reply(self, msg: Msg) -> None:
        awaited = self._awaited.pop(msg.subject[len(self._inbox) :], None)
        if awaited is not None:
            exchange, packet = awaited
            status = msg.headers and msg.headers.get("Status")
            exchange.add(Reply(packet, status or None, msg.data))

    async def _on_error(self, error: Exception) -> None:
        """Handle what nats-py reports."""
        forbidden = _FORBIDDEN.search(str(error))
        if forbidden is None:
            if not self._is_open:
                raise error  # nats-py would try again
            self._lose(ConnectionLostError())
        elif forbidden[1].lower() == "publish":
            self._refuse(forbidden[2])
        else:
            self._lose(
                ForbiddenError(
                    f"it does not permit this user to subscribe to {forbidden[2]!r},"
                    " where it confirms messages; permit it, or set inbox_prefix in"
                    " SIGNALBUS_NATS_OPTIONS"
                )
            )

    async def _on_closed(self) -> None:
        self._lose(ConnectionLostError())

    def _refuse(self, subject: str) -> None:
        """Fail the packets to *subject*, ignoring case, which is not known."""
        for token, (exchange, packet) in list(self._awaited.items()):
            if packet.subject.lower() == subject.lower():
                del self._awaited[token]
                error = MessageRefusedError(
                    f"This user must not publish to {packet.subject!r} at"
                    f" {self.server.address}. Permit it in the configuration of NATS."
                )
                exchange.add(Reply(packet, error=error))

    def _lose(self, error: Exception) -> None:
        if self._failure is None:
            self._failure = error
        for exchange, _ in self._awaited.values():
            exchange.fail(self._failure)
        self._awaited.clear()
