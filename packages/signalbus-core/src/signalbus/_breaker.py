"""Leave a broker alone that was found to be down, so that commits do not pay for it."""

from __future__ import annotations

import dataclasses
import threading
import time

#: How long a circuit breaker is open after the first failure, and at most, in seconds.
FIRST = 0.5
MAX = 30.0


@dataclasses.dataclass
class CircuitBreaker:
    """The breaker of one broker, while it is not closed.

    It is open until :attr:`until`. Then it is half-open: one caller may probe the
    broker, and it is open again for the others until that has worked.
    """

    opened: float
    length: float
    until: float

    def admits(self, now: float) -> bool:
        """Tell whether the caller may probe the broker. Answers ``True`` to one."""
        if now < self.until:
            return False
        self.until = now + self.length
        return True

    def extend(self, now: float) -> None:
        """Stay open for twice as long, since a probe failed."""
        self.length = min(MAX, self.length * 2)
        self.until = now + self.length


class CircuitBreakers:
    """The circuit breakers of all brokers: those that are not here are closed."""

    def __init__(self) -> None:
        self._breakers: dict[object, CircuitBreaker] = {}
        self._lock = threading.Lock()

    def is_closed(self, carrier: object) -> bool:
        """Tell whether signals may be handed to *carrier* without reserve."""
        return carrier not in self._breakers

    def admits(self, carrier: object) -> bool:
        """Tell whether an autoflush may try *carrier*, be it to probe it."""
        if carrier not in self._breakers:
            return True
        with self._lock:
            breaker = self._breakers.get(carrier)
            return breaker is None or breaker.admits(time.monotonic())

    def failed(self, carrier: object) -> bool:
        """Note that *carrier* could not be reached, and tell whether that is new."""
        now = time.monotonic()
        with self._lock:
            breaker = self._breakers.get(carrier)
            if breaker is None:
                self._breakers[carrier] = CircuitBreaker(now, FIRST, now + FIRST)
                return True
            breaker.extend(now)
            return False

    def worked(self, carrier: object) -> float | None:
        """Note that *carrier* confirmed something.

        Returns for how many seconds its breaker was open, ``None`` if it was closed.
        """
        if carrier not in self._breakers:
            return None
        with self._lock:
            breaker = self._breakers.pop(carrier, None)
        return time.monotonic() - breaker.opened if breaker else None

    def reset(self) -> dict[object, float]:
        """Close all breakers, and return for how many seconds each was open."""
        with self._lock:
            breakers, self._breakers = self._breakers, {}
        now = time.monotonic()
        return {carrier: now - each.opened for carrier, each in breakers.items()}
