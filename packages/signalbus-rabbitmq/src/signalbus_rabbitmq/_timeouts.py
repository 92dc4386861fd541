"""How long to wait for a broker: until a point in time, or while it does something."""

from __future__ import annotations

import time
import typing as t

#: Returns a value that changes whenever something is achieved.
Progress: t.TypeAlias = t.Callable[[], t.Hashable]


class Timeout(t.Protocol):
    """What limits the waits of a call."""

    def deadline(self) -> float:
        """Return when the next wait must end, as a time of the monotonic clock."""

    def waited(self, seconds: float, progress: Progress) -> None:
        """Count a wait of so many *seconds*."""

    def restart(self) -> bool:
        """Start again after a timeout. Return whether there is any time left."""


class Deadline:
    """A limit for a call as a whole, whatever the time is spent on.

    :param seconds: how long the call may take.
    """

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def deadline(self) -> float:
        """Return the end of the call."""
        return self._at

    def waited(self, seconds: float, progress: Progress) -> None:
        """Do nothing: the clock runs anyway."""

    def restart(self) -> bool:
        """Return false: a deadline does not move."""
        return False


class IdleTimeout:
    """A limit for waiting without any progress.

    Only waiting counts: while the caller does something else, the broker is not late.

    :param seconds: how long the broker may be waited for while nothing happens.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._idle = 0.0
        self._reached: t.Hashable = None

    def deadline(self) -> float:
        """Return when the broker will have been idle for too long."""
        return time.monotonic() + self._seconds - self._idle

    def waited(self, seconds: float, progress: Progress) -> None:
        """Add *seconds* to the idle time, or reset it if there was progress."""
        reached = progress()
        self._idle = self._idle + seconds if reached == self._reached else 0.0
        self._reached = reached

    def restart(self) -> bool:
        """Allow the whole idle time once more."""
        self._idle = 0.0
        return True
