"""The link of a process to NATS: an event loop in a thread, and a connection."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import math
import time
import typing as t

from signalbus.exceptions import BrokerTimeoutError

from signalbus_nats._connect import connect
from signalbus_nats._connect import took_too_long
from signalbus_nats._connection import ConnectionLostError
from signalbus_nats._exchange import Exchange
from signalbus_nats._loop import LoopClosedError
from signalbus_nats._loop import LoopThread

if t.TYPE_CHECKING:
    from signalbus.brokers import WaitLimit

    from signalbus_nats._connection import Connection
    from signalbus_nats._exchange import Reply
    from signalbus_nats._packets import Packet
    from signalbus_nats._servers import Server

#: How long a connection must be silent to be closed when a wait ends, in seconds.
SILENCE = 1.0

T = t.TypeVar("T")


class Link:
    """The connection of a process, which all of its threads share."""

    def __init__(
        self, servers: t.Sequence[Server], options: t.Mapping[str, t.Any]
    ) -> None:
        self._servers = servers
        self._options = options
        self._loop = LoopThread()
        self._connection: Connection | None = None
        self._opening: asyncio.Task[Connection] | None = None

    def connection(self, limit: WaitLimit) -> Connection:
        """Return the connection; make a new one if there is none, or if it was lost.

        :raises BrokerUnavailableError: if none can be made in time.
        """
        connection = self._connection
        if connection is not None and not connection.is_lost:
            return connection
        future = self._submit(self._connected())
        while not self._loop.wait(future, limit.nap()):
            if limit.is_over:
                future.cancel()
                raise took_too_long(self._servers)
        return _result(future)

    def publish(self, connection: Connection, packets: t.Sequence[Packet]) -> Running:
        """Begin to publish *packets*."""
        exchange = Exchange(packets)
        future = self._submit(connection.exchange(exchange))
        return Running(self._loop, connection, exchange, future)

    def wait(
        self, running: Running, limit: WaitLimit, patience: float = math.inf
    ) -> None:
        """Wait for all replies; abandon the connection if it is silent.

        :param patience: how long it may be silent, if that is shorter than *limit*, so
            that there is time to try another connection.
        :raises ConnectionLostError: if no more replies will arrive.
        :raises BrokerTimeoutError: if they do not arrive in time.
        """
        try:
            running.wait(limit, patience)
        except ConnectionLostError:
            self._give_up(running.connection)
            raise
        except BrokerTimeoutError:
            if running.was_silent:
                self._give_up(running.connection)
            raise

    def ask(
        self, connection: Connection, packets: t.Sequence[Packet], limit: WaitLimit
    ) -> list[Reply]:
        """Return the replies to *packets*, by their positions.

        :raises BrokerUnavailableError: as :meth:`wait` does.
        """
        running = self.publish(connection, packets)
        try:
            self.wait(running, limit)
        finally:
            running.abandon()
        return sorted(running.replies, key=lambda reply: reply.packet.position)

    def close(self) -> None:
        """Close the connection and end the thread soon."""
        self._loop.close(self._close())

    def _give_up(self, connection: Connection) -> None:
        connection.is_given_up = True  # at once, or the next send would use it
        with contextlib.suppress(ConnectionLostError):  # the link is closed
            self._submit(connection.close())

    def _submit(
        self, coroutine: t.Coroutine[t.Any, t.Any, T]
    ) -> concurrent.futures.Future[T]:
        try:
            return self._loop.submit(coroutine)
        except LoopClosedError:
            raise ConnectionLostError from None

    async def _connected(self) -> Connection:
        """Return the connection. The first caller makes it for all."""
        if self._connection is None or self._connection.is_lost:
            if self._opening is None:
                self._opening = asyncio.create_task(self._open())
            return await asyncio.shield(self._opening)
        return self._connection

    async def _open(self) -> Connection:
        try:
            lost = self._connection
            self._connection = await connect(self._servers, self._options)
        finally:
            self._opening = None
        if lost is not None:
            await lost.close()
        return self._connection

    async def _close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        if self._connection is not None:
            await self._connection.close()


class Running:
    """Packets that are being published. Only for the thread that sends."""

    def __init__(
        self,
        loop: LoopThread,
        connection: Connection,
        exchange: Exchange,
        future: concurrent.futures.Future[None],
    ) -> None:
        self.connection = connection
        self._loop = loop
        self._exchange = exchange
        self._future = future
        #: Whether no reply had arrived for a while when time was up.
        self.was_silent = False

    @property
    def replies(self) -> list[Reply]:
        """The replies so far."""
        return list(self._exchange.replies)

    def wait(self, limit: WaitLimit, patience: float) -> None:
        """Wait for all replies, as :meth:`Link.wait` says."""
        limit.note_progress()  # to make the messages may have taken long
        count, since = len(self._exchange.replies), time.monotonic()
        while not self._loop.wait(self._future, limit.nap()):
            if count != len(self._exchange.replies):
                count, since = len(self._exchange.replies), time.monotonic()
                limit.note_progress()
            silence = time.monotonic() - since
            if limit.is_over:
                self.was_silent = silence >= SILENCE
                raise BrokerTimeoutError(
                    f"NATS at {self.connection.server.address} did not confirm in time."
                    " The signals stay pending until it does."
                )
            if self.connection.is_lost or silence >= patience:
                raise ConnectionLostError
        _result(self._future)
        limit.note_progress()

    def abandon(self) -> None:
        """Stop waiting."""
        self._exchange.is_abandoned = True
        self._future.cancel()


def _result(future: concurrent.futures.Future[T]) -> T:
    """Return the result of *future*, which is done."""
    try:
        return future.result()
    except concurrent.futures.CancelledError:  # somebody has closed the link
        raise ConnectionLostError from None
