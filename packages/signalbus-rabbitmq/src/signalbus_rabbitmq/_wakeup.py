"""Wake a thread that waits on its sockets, from any thread or signal handler."""

from __future__ import annotations

import contextlib
import socket


class Wakeup:
    """A pair of sockets: what is sent to the one is there to read at the other.

    Locks are of no use to a signal handler, which may have interrupted the one who
    holds them; a socket can always be written to.
    """

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)

    def fileno(self) -> int:
        """Return what to watch: it is readable when :meth:`wake` was called."""
        return self._reader.fileno()

    def wake(self) -> None:
        """Wake the waiting thread. It wakes once, however often this is called."""
        with contextlib.suppress(OSError):
            self._writer.send(b"\0")

    def clear(self) -> None:
        """Wait for the next call of :meth:`wake`."""
        with contextlib.suppress(BlockingIOError):
            while self._reader.recv(4096):
                pass

    def close(self) -> None:
        """Close both ends; :meth:`wake` does nothing from here on."""
        self._writer.close()
        self._reader.close()
