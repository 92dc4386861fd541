"""How long a sender may wait for its broker."""

from __future__ import annotations

import math
import selectors
import time
import typing as t

from signalbus import stopping

#: The longest single wait, in seconds, of a client that cannot be woken.
MAX_NAP = 0.1

#: How long a process that was told to stop waits for a silent broker, in seconds. A
#: burst that the broker is still confirming is finished.
STOP_PATIENCE = 1.0


class WaitLimit:
    """How long a sender may wait for its broker, connecting included.

    The setting limits how long the broker may be silent; a slow broker that makes
    progress may take longer. Where a commit waits, the total time is limited, too. A
    process that was told to stop does not wait for a broker that has fallen silent.

    :param idle: how long the broker may be silent, in seconds.
    :param total: how long the burst may take in total, in seconds; ``None`` for no
        limit.
    """

    def __init__(self, idle: float, total: float | None = None) -> None:
        now = time.monotonic()
        self._idle = idle
        self._end = math.inf if total is None else now + total
        self._progress = now

    def note_progress(self) -> None:
        """Record that the broker has answered, so that the idle time starts anew."""
        self._progress = time.monotonic()

    def remaining(self) -> float:
        """Return how many seconds are left; 0 if the limit has been reached."""
        idle = self._idle
        if stopping.is_stopping():
            idle = min(idle, STOP_PATIENCE)
        until = min(self._end, self._progress + idle)
        return max(0.0, until - time.monotonic())

    def nap(self) -> float:
        """Return how long a single wait may take, so that a stop is noticed soon.

        For clients that can only wait for a fixed time: wait this long, repeatedly,
        until :attr:`is_over`.
        """
        return min(MAX_NAP, self.remaining())

    @property
    def is_over(self) -> bool:
        """Whether the limit has been reached."""
        return self.remaining() <= 0

    def wait_for(self, file: t.Any) -> bool:
        """Wait until *file* is readable, and return whether it is.

        ``False`` if the limit is reached, or if the process is told to stop meanwhile.
        A blocking read would wait longer.

        :param file: a socket, or another object with a file descriptor.
        """
        with stopping.Selector() as selector:
            selector.register(file, selectors.EVENT_READ)
            while not selector.select(self.nap()):
                if self.is_over:
                    return False
        return True
