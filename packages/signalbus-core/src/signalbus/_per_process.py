"""An object that each process has to make for itself, such as a connection."""

from __future__ import annotations

import os
import threading
import typing as t

T = t.TypeVar("T")


class PerProcess(t.Generic[T]):
    """An object that each process makes for itself, on first use.

    A connection, or a client with threads, does not survive a fork. An object that a
    process has inherited is kept, and never used or closed: either would break the
    parent's connection.

    :param make: makes the object.
    :param close: closes the object.
    """

    def __init__(
        self, make: t.Callable[[], T], close: t.Callable[[T], object] = lambda _: None
    ) -> None:
        self._make = make
        self._close = close
        self._made: dict[int, T] = {}
        self._locks = {os.getpid(): threading.Lock()}

    def get(self) -> T:
        """Return the object of this process; make it if necessary."""
        pid = os.getpid()
        made = self._made.get(pid)
        if made is not None:
            return made
        with self._lock(pid):
            if pid not in self._made:
                self._made[pid] = self._make()
            return self._made[pid]

    def discard(self, one: T | None = None) -> None:
        """Close the object of this process, if any; the next use makes another.

        :param one: the object to close. If another thread has replaced it, nothing
            happens.
        """
        pid = os.getpid()
        with self._lock(pid):
            made = self._made.get(pid)
            if made is None or (one is not None and made is not one):
                return
            del self._made[pid]
        self._close(made)

    def _lock(self, pid: int) -> threading.Lock:
        # Another thread may have held the parent's lock during the fork.
        return self._locks.setdefault(pid, threading.Lock())
