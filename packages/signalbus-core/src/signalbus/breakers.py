"""Circuit breakers: leave a broker alone that is down, so that commits do not wait.

Here, a *sender* is a broker's name, or a model that has send methods of its own:
``bus.declaration(model).sender``.
"""

from __future__ import annotations

import dataclasses
import random
import threading
import time

__all__ = ["CircuitBreakers", "sender_name"]

#: How long a circuit breaker is open after the first failure, and at most, in seconds.
FIRST = 0.5
MAX = 30.0

#: How much of its time a circuit breaker may be open for less, so that many processes
#: do not probe a broker at the same moment.
JITTER = 0.2

#: How long an autoflush may take to probe a broker, in seconds, and as a part of the
#: time for which the breaker was open: a broker that takes long to connect to must be
#: found to be back in the end.
PROBE_TIMEOUT = 0.5
PROBE_SHARE = 0.1


@dataclasses.dataclass
class CircuitBreaker:
    """The circuit breaker of one broker, while it is not closed.

    It is open until :attr:`until`. Then it is half-open: one caller may probe the
    broker, while it stays open for the others.
    """

    opened: float
    length: float = FIRST
    until: float = 0.0
    failed: float = 0.0

    def __post_init__(self) -> None:
        """Open."""
        self.failed = self.opened
        self._stay_open(self.opened)

    def admits(self, now: float) -> bool:
        """Return whether the caller may probe the broker: ``True`` for one caller."""
        if now < self.until:
            return False
        self._stay_open(now)
        return True

    def extend(self, now: float, began: float) -> None:
        """Stay open for twice as long, since a probe failed that *began* then.

        An attempt that began before the last failure was no probe: when a broker hangs,
        all that wait for it fail, one after the other.
        """
        if began < self.failed:
            return
        self.failed = now
        self.length = min(MAX, self.length * 2)
        self._stay_open(now)

    def _stay_open(self, now: float) -> None:
        shorter = random.uniform(0, JITTER)  # noqa: S311 no secret
        self.until = now + self.length * (1 - shorter)


class CircuitBreakers:
    """The circuit breakers of the brokers of one bus, in this process.

    A breaker opens when its broker cannot be reached, and closes when it confirms
    something. Flushes do that by themselves. ``bus.flush`` and its siblings try a
    broker whether or not its breaker is open; autoflush and relays ask :meth:`admits`.

    Its methods may be called from several threads.
    """

    def __init__(self) -> None:
        self._breakers: dict[object, CircuitBreaker] = {}
        self._lock = threading.Lock()

    def is_closed(self, sender: object) -> bool:
        """Return whether *sender* is not known to be down."""
        return sender not in self._breakers

    def admits(self, sender: object) -> bool:
        """Return whether the caller may try *sender* now, if only to probe it.

        Always ``True`` while the breaker is closed. While it is open, ``True`` for one
        caller at a time, after growing intervals. Who is admitted should flush: the
        first burst has one signal then.
        """
        if sender not in self._breakers:
            return True
        with self._lock:
            breaker = self._breakers.get(sender)
            return breaker is None or breaker.admits(time.monotonic())

    def open(self) -> dict[object, float]:
        """Return the senders that are down, and in how many seconds each is probed."""
        now = time.monotonic()
        with self._lock:
            return {
                sender: max(0.0, breaker.until - now)
                for sender, breaker in self._breakers.items()
            }

    def probe_timeout(self, sender: object) -> float:
        """Return how many seconds an autoflush may take to probe *sender*."""
        breaker = self._breakers.get(sender)
        length = 0.0 if breaker is None else breaker.length
        return max(PROBE_TIMEOUT, PROBE_SHARE * length)

    def record_failure(self, sender: object, seconds: float = 0.0) -> bool:
        """Record that *sender* could not be reached, and return whether that is new.

        :param seconds: how long the attempt took.
        """
        now = time.monotonic()
        with self._lock:
            breaker = self._breakers.get(sender)
            if breaker is None:
                self._breakers[sender] = CircuitBreaker(now)
                return True
            breaker.extend(now, now - seconds)
            return False

    def record_success(self, sender: object) -> float | None:
        """Record that *sender* has confirmed something.

        Returns for how many seconds its breaker was open, ``None`` if it was closed.
        """
        if sender not in self._breakers:
            return None
        with self._lock:
            breaker = self._breakers.pop(sender, None)
        return time.monotonic() - breaker.opened if breaker else None

    def reset(self) -> dict[object, float]:
        """Close all breakers, and return for how many seconds each was open."""
        with self._lock:
            breakers, self._breakers = self._breakers, {}
        now = time.monotonic()
        return {sender: now - each.opened for sender, each in breakers.items()}


def sender_name(sender: object) -> str:
    """Return the name of a broker, or of a model that is its own sender.

    It is the *broker* of the hooks ``signalbus_broker_down`` and
    ``signalbus_broker_up``.
    """
    return sender if isinstance(sender, str) else getattr(sender, "__name__", "")
