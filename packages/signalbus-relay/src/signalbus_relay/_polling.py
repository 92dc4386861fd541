"""Decide when to look next for signals that were not announced."""

from __future__ import annotations

import random
import time
import typing as t

#: The interval after something was sent, in seconds. More may follow.
SHORTEST: t.Final = 0.05

#: A run that could send nothing is followed by a pause so many times as long. What is
#: held back must not keep the database busy.
PAUSE_FACTOR: t.Final = 10

#: The intervals at which a database is tried that is down: the first, and the longest.
OUTAGE_FIRST: t.Final = 0.1
OUTAGE_LONGEST: t.Final = 2.0


class Polling:
    """When the signals of one model are looked for again, unless they are announced.

    While the database announces them, the interval is *poll*, plus a random part, so
    that many relays do not look at the same time. Otherwise it is short after something
    was sent, and doubles while there is nothing to send, up to *poll*.

    :param poll: the longest interval between two looks, in seconds.
    :param clock: returns the time, in seconds.
    :param uniform: returns a random number between two.
    """

    def __init__(
        self,
        poll: float,
        clock: t.Callable[[], float] = time.monotonic,
        uniform: t.Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._poll = poll
        self._clock = clock
        self._uniform = uniform
        self._interval = self._shortest = min(SHORTEST, poll)
        self._outage_interval = OUTAGE_FIRST
        self._next = clock()

    @property
    def due_in(self) -> float:
        """In how many seconds to look; 0 if it is time."""
        return max(0.0, self._next - self._clock())

    def look_at_once(self) -> None:
        """Look as soon as anything else allows it."""
        self._next = self._clock()

    def sent(self, *, is_announced: bool) -> None:
        """Record that signals were sent, and that there are no more now."""
        self._interval = self._shortest
        self._wait(is_announced=is_announced)

    def found_nothing(self, *, is_announced: bool) -> None:
        """Record that nothing is pending."""
        self._wait(is_announced=is_announced)

    def sent_nothing(self, seconds: float, *, is_announced: bool) -> None:
        """Record that a run, which took *seconds*, sent nothing of what is pending."""
        self._wait(PAUSE_FACTOR * seconds, is_announced=is_announced)

    def failed(self, seconds: float, *, is_announced: bool) -> None:
        """Record that a run, which took *seconds*, failed without sending anything."""
        self._wait(seconds, is_announced=is_announced)

    def lost_database(self) -> None:
        """Record that the database is down."""
        self._next = self._clock() + min(self._outage_interval, OUTAGE_LONGEST)
        self._outage_interval *= 2

    def _wait(self, at_least: float = 0.0, *, is_announced: bool) -> None:
        self._outage_interval = OUTAGE_FIRST
        if is_announced:
            interval = self._poll * self._uniform(1.0, 1.2)
        else:
            interval = self._interval
            self._interval = min(2 * interval, self._poll)
        self._next = self._clock() + max(interval, at_least)
