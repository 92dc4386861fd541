"""Circuit breakers, so that commits do not wait for a broker that is down.

Here, a *sender* is the name of a broker, or a model that has send methods of its own:
``bus.declaration(model).sender``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import threading
import time
import typing as t
import weakref

__all__ = ["CircuitBreakers", "sender_name"]

#: How long a circuit breaker stays open after the first failure, and at most, in
#: seconds.
FIRST = 0.5
MAX = 30.0

#: By which fraction the time may be shortened at random, so that many processes do not
#: probe a broker at the same moment.
JITTER = 0.2

#: How long an autoflush may take to probe a broker, in seconds, and as a fraction of
#: the time for which the breaker was open. Since that grows, a broker that takes long
#: to connect to is found to be back in the end.
PROBE_TIMEOUT = 0.5
PROBE_SHARE = 0.1

#: How many seconds after the time of its next probe a broker still counts as down, if
#: it was not probed. That is longer than a probe may take. Then its state is unknown.
KNOWN_FOR = 120.0

#: A sender, and a weak reference to its app; ``None`` if the app cannot be known.
Key: t.TypeAlias = "tuple[object, weakref.ref[t.Any] | None]"


@dataclasses.dataclass
class CircuitBreaker:
    """The circuit breaker of one broker, while it is not closed.

    It is open until the time :attr:`until`. Then it is half-open: one caller may probe
    the broker, and the breaker stays open for all others.
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
        """Return whether the caller may probe the broker: one caller at a time may."""
        if now < self.until:
            return False
        self._stay_open(now)
        return True

    def extend(self, now: float, began: float, longest: float) -> None:
        """Stay open for twice as long, up to *longest*, after a probe has failed.

        An attempt that *began* before the last failure was not a probe, and changes
        nothing: when a broker hangs, all callers that wait for it fail one by one.
        """
        if began < self.failed:
            return
        self.failed = now
        self.length = min(longest, self.length * 2)
        self._stay_open(now)

    def _stay_open(self, now: float) -> None:
        shorter = random.uniform(0, JITTER)  # noqa: S311 no secret
        self.until = now + self.length * (1 - shorter)


class CircuitBreakers:
    """The circuit breakers of the brokers of one bus, in this process.

    A breaker opens when its broker cannot be reached, and closes when it confirms
    something. Flushes record both. ``bus.flush`` and its siblings try a broker whether
    or not its breaker is open; autoflush and relays ask :meth:`admits`.

    Each app of the bus has its own breakers, since brokers of several apps may have the
    same name. Outside of an app context, the methods answer for the only app, or for
    all apps together if there are several.

    Its methods may be called from several threads.

    :param at_hand: returns the current app, or ``None`` if that cannot be known.
    """

    def __init__(self, at_hand: t.Callable[[], object | None] = lambda: None) -> None:
        self._at_hand = at_hand
        self._max_interval = MAX
        self._breakers: dict[Key, CircuitBreaker] = {}
        self._lock = threading.Lock()
        _all.add(self)

    def key(self, sender: object) -> Key:
        """Return the key of *sender* in the current app."""
        app = self._at_hand()
        return sender, None if app is None else weakref.ref(app)

    def is_closed(self, sender: object) -> bool:
        """Return whether *sender* is not known to be down."""
        return not self._breakers or not self._known(sender)

    def admits(self, sender: object) -> bool:
        """Return whether the caller may try *sender* now, if only to probe it.

        Always ``True`` while the breaker is closed. While it is open, ``True`` for one
        caller at a time, after growing intervals. A caller that is admitted should
        flush; the first burst then has only one signal.
        """
        if not self._breakers:
            return True
        with self._lock:
            now = time.monotonic()
            return all(breaker.admits(now) for breaker in self._known(sender))

    @contextlib.contextmanager
    def probed_every(self, seconds: float) -> t.Iterator[None]:
        """Probe brokers that are down at least every *seconds*, in this context.

        Elsewhere, the longest interval is 30 seconds. For programs whose probes delay
        no commits.
        """
        before, self._max_interval = self._max_interval, seconds
        try:
            yield
        finally:
            self._max_interval = before

    def open(self) -> dict[object, float]:
        """Return the senders that are down, and in how many seconds each is probed.

        Senders whose probe is more than two minutes overdue, because there was nothing
        to send, are left out. They may be back.
        """
        now = time.monotonic()
        app = self._at_hand()
        with self._lock:
            return {
                sender: max(0.0, breaker.until - now)
                for (sender, of), breaker in self._breakers.items()
                if _is_meant(of, app) and now < breaker.until + KNOWN_FOR
            }

    def probe_timeout(self, sender: object) -> float:
        """Return how many seconds an autoflush may spend on probing *sender*."""
        lengths = [breaker.length for breaker in self._known(sender)]
        return max(PROBE_TIMEOUT, PROBE_SHARE * max(lengths, default=0.0))

    def record_failure(self, sender: object, seconds: float = 0.0) -> bool:
        """Record that *sender* could not be reached, and return whether that is new.

        :param seconds: how long the attempt took.
        """
        now, key = time.monotonic(), self.key(sender)
        with self._lock:
            breaker = self._breakers.get(key)
            if breaker is None:
                self._forget_gone()
                self._breakers[key] = CircuitBreaker(now)
                return True
            breaker.extend(now, now - seconds, self._max_interval)
            return False

    def record_success(self, sender: object) -> float | None:
        """Record that *sender* has confirmed something.

        Returns how many seconds its breaker was open, or ``None`` if it was closed.
        """
        if not self._breakers:
            return None
        with self._lock:
            breaker = self._breakers.pop(self.key(sender), None)
        return time.monotonic() - breaker.opened if breaker else None

    def reset(self) -> dict[object, float]:
        """Close the breakers of all apps; return how many seconds each was open."""
        with self._lock:
            breakers, self._breakers = self._breakers, {}
        now = time.monotonic()
        return {sender: now - each.opened for (sender, _), each in breakers.items()}

    def _known(self, sender: object) -> list[CircuitBreaker]:
        """Return the open breakers of *sender* in the current app, or in all apps."""
        app = self._at_hand()
        return [
            breaker
            for (other, of), breaker in list(self._breakers.items())
            if other == sender and _is_meant(of, app)
        ]

    def _forget_gone(self) -> None:
        """Forget the breakers of apps that are gone."""
        for key in list(self._breakers):
            app = key[1]
            if app is not None and app() is None:
                del self._breakers[key]


def _is_meant(of: weakref.ref[t.Any] | None, app: object | None) -> bool:
    """Return whether *of* refers to *app*; if that is ``None``, to any live app."""
    if of is None:
        return app is None
    owner = of()
    return owner is not None and (app is None or owner is app)


def _after_fork() -> None:
    """Replace the locks: a thread of the parent may have held one."""
    for breakers in list(_all):
        breakers._lock = threading.Lock()  # noqa: SLF001 its own


#: All in this process, for its forks.
_all: weakref.WeakSet[CircuitBreakers] = weakref.WeakSet()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def sender_name(sender: object) -> str:
    """Return the name of *sender*: that of the broker, or of the model.

    The hooks ``signalbus_broker_down`` and ``signalbus_broker_up`` get it as *broker*.
    """
    return sender if isinstance(sender, str) else getattr(sender, "__name__", "")
