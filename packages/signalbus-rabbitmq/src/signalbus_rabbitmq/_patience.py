"""How long to wait for a broker: until a point in time, or while it does something."""

from __future__ import annotations

import time
import typing as t


class Watched(t.Protocol):
    """Something whose progress can be seen."""

    def mark(self) -> t.Hashable:
        """Return something that changes with every progress."""


class Patience(t.Protocol):
    """What limits the waiting of a call."""

    def deadline(self) -> float:
        """Return when the next wait must end, as a time of the monotonic clock."""

    def waited(self, seconds: float, watched: Watched) -> None:
        """Note a wait for *watched*."""

    def renew(self) -> bool:
        """Begin anew after a timeout; return whether there is any time left."""


class Deadline:
    """A limit for all of a call, whatever it is spent on.

    :param seconds: how long the call may take.
    """

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def deadline(self) -> float:
        """Return the end of the call."""
        return self._at

    def waited(self, seconds: float, watched: Watched) -> None:
        """Do nothing: the clock runs anyway."""

    def renew(self) -> bool:
        """Return false: what is over is over."""
        return False


class Silence:
    """A limit for waiting without any progress.

    Only waiting counts: while the caller does something else, the broker is not late.

    :param seconds: how long a wait may bring nothing.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._spent = 0.0
        self._mark: t.Hashable = None

    def deadline(self) -> float:
        """Return when the silence will have been too long."""
        return time.monotonic() + self._seconds - self._spent

    def waited(self, seconds: float, watched: Watched) -> None:
        """Count *seconds* of silence, unless there is progress."""
        mark = watched.mark()
        self._spent = self._spent + seconds if mark == self._mark else 0.0
        self._mark = mark

    def renew(self) -> bool:
        """Wait once more for as long."""
        self._spent = 0.0
        return True
