"""What the operating system knows about the bytes that a socket was given."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys

if sys.platform == "linux":
    import fcntl
    import termios

    def unacknowledged(connection: socket.socket | None) -> int:
        """Return how many bytes the other side has not taken; 0 if that is unknown."""
        if connection is None:
            return 0
        try:
            count = fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4))
        except OSError:
            return 0
        return int.from_bytes(count, sys.byteorder)

else:

    def unacknowledged(connection: socket.socket | None) -> int:
        """Return 0: it is not known."""
        del connection
        return 0


def discard_unsent(connection: socket.socket | None) -> None:
    """Let closing *connection* discard what was not sent yet."""
    if connection is not None:
        with contextlib.suppress(OSError):
            now = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, now)
