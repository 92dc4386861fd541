"""The open connections of a publisher that are not in use."""

from __future__ import annotations

import os
import queue
import time
import typing as t

from signalbus_rabbitmq._connection import CLOSE_TIMEOUT

if t.TYPE_CHECKING:
    from signalbus_rabbitmq._channel import ConfirmChannel

#: How many channels, each with its connection, are kept open for later.
MAX_IDLE = 10


class ConnectionPool:
    """Open channels, each on a connection of its own. The last used is reused first.

    A channel has one user at a time. So no two threads ever share one, and the threads
    of a server that starts one for each request need not connect each time.
    """

    def __init__(self) -> None:
        # Each process has its own. What a fork inherited is kept and left alone: to use
        # it, or to close it, would break the parent's connections.
        self._queues: dict[int, queue.LifoQueue[ConfirmChannel]] = {}

    def take(self) -> ConfirmChannel | None:
        """Return a channel that is still usable, if there is one. It is now yours."""
        while channel := self._pop():
            if channel.is_usable():
                return channel
            channel.abort()
        return None

    def put(self, channel: ConfirmChannel) -> None:
        """Keep *channel* for later, or close it if there are enough."""
        channel.connection.release()
        try:
            self._queue().put_nowait(channel)
        except queue.Full:
            channel.close(CLOSE_TIMEOUT)

    def abandon(self) -> None:
        """Abort all channels, without a word to a broker that does not answer."""
        while channel := self._pop():
            channel.abort()

    def close(self) -> None:
        """Close all channels. A broker that hangs costs a second for all of them."""
        deadline = time.monotonic() + CLOSE_TIMEOUT
        while channel := self._pop():
            channel.close(max(0.0, deadline - time.monotonic()))

    def _pop(self) -> ConfirmChannel | None:
        try:
            return self._queue().get_nowait()
        except queue.Empty:
            return None

    def _queue(self) -> queue.LifoQueue[ConfirmChannel]:
        return self._queues.setdefault(os.getpid(), queue.LifoQueue(MAX_IDLE))
