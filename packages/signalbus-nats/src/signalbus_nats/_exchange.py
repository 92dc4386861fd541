"""Packets that are published, and the replies to them so far."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    import asyncio

    from signalbus_nats._packets import Packet


class Reply(t.NamedTuple):
    """The reply to a packet.

    :param status: the status that the server itself replies in place of a stream, such
        as ``"503"`` if nobody has subscribed to the subject.
    :param data: the data of the reply.
    :param error: why the packet was not even published.
    """

    packet: Packet
    status: str | None = None
    data: bytes = b""
    error: Exception | None = None


class Exchange:
    """Packets that are published in their order, and the replies to them.

    The thread of the event loop writes it, and the thread that sends reads it.
    """

    def __init__(self, packets: t.Sequence[Packet]) -> None:
        self.packets = packets
        #: The replies so far, in the order in which they arrived.
        self.replies: list[Reply] = []
        #: Whether the replies are no longer awaited.
        self.is_abandoned = False
        self._end: asyncio.Future[None]

    def begin(self, end: asyncio.Future[None]) -> None:
        """Let *end* be settled when all replies are there, or no more will come."""
        self._end = end

    def add(self, reply: Reply) -> None:
        """Add a reply."""
        self.replies.append(reply)
        if len(self.replies) == len(self.packets) and not self._end.done():
            self._end.set_result(None)

    def fail(self, error: Exception) -> None:
        """End it: no more replies will come."""
        if not self._end.done():
            self._end.set_exception(error)
