"""Who waits for a broker: what keeps one that hangs from stopping every commit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
import typing as t
import weakref

from signalbus.exceptions import SignalBusError
from signalbus.exceptions import describe_error

if t.TYPE_CHECKING:
    from signalbus.breakers import CircuitBreakers
    from signalbus.breakers import Key

#: How long a sender may keep an autoflush waiting, in seconds, before others leave
#: their signals pending; and how long those may wait that came in the meantime.
STALLED: t.Final = 0.5

#: After how many seconds a wait says no more about its sender: that thread may hang for
#: reasons of its own, and the others must not be kept from trying for ever.
ABANDONED: t.Final = 30.0

#: For how many seconds nothing must have been left before the log tells of it again.
QUIET: t.Final = 60.0

#: Makes the context in which a sender is waited for. It gives how long that may take,
#: in seconds, or ``None`` if that is up to the sender.
Waiting: t.TypeAlias = t.Callable[[object], t.ContextManager["float | None"]]


class Waits:
    """Which senders keep the autoflushes of one bus waiting, in this process.

    Autoflushes in the committing thread only: nobody waits for other flushes. The
    senders of each app are apart. Its methods may be called from several threads.
    """

    def __init__(self, breakers: CircuitBreakers) -> None:
        self._breakers = breakers
        self.forget()
        _all_waits.add(self)

    def begin(self, sender: object, timeout: float) -> tuple[float, float]:
        """Count a wait. Return when it began, and how long it may take.

        That is *timeout*, or less for all but the first of those who wait, and for who
        probes a sender that was down.
        """
        if not self._breakers.is_closed(sender):
            timeout = min(timeout, self._breakers.probe_timeout(sender))
        key = self._breakers.key(sender)
        with self._lock:
            now = time.monotonic()
            times = self._began.get(key)
            if times is None:
                self._began[key] = [now]
                return now, timeout
            if now - times[-1] < ABANDONED:
                timeout = min(timeout, STALLED)
            times.append(now)
        return now, timeout

    def end(self, sender: object, began: float) -> None:
        """Count a wait no more."""
        key = self._breakers.key(sender)
        with self._lock:
            times = self._began.get(key, [])
            if began in times:  # unless it was forgotten, in a fork
                times.remove(began)
            if not times:
                self._began.pop(key, None)

    def is_stalled(self, sender: object) -> bool:
        """Return whether somebody has been waiting for *sender* for too long."""
        if not self._began:
            return False
        key = self._breakers.key(sender)
        with self._lock:
            now = time.monotonic()
            times = self._began.get(key, ())
            return any(STALLED < now - began < ABANDONED for began in times)

    def note_left(self, sender: object) -> bool:
        """Record that signals were left for this, and return whether that is news."""
        key = self._breakers.key(sender)
        with self._lock:
            now = time.monotonic()
            last = self._left.get(key)
            self._left[key] = now
        return last is None or now - last > QUIET

    def forget(self) -> None:
        """Forget all waits, as in a process that was forked: its parent waits."""
        self._lock = threading.Lock()
        self._began: dict[Key, list[float]] = {}
        self._left: dict[Key, float] = {}


class Patience:
    """How long one autoflush waits for senders: one at a time, each by its context.

    A sender must not end the process, or cancel the task, whose commit is done: its
    signal has failed. What others raise in the thread while it waits comes out, such as
    ``KeyboardInterrupt``, or a timeout of gevent.
    """

    __slots__ = ("_began", "_sender", "_timeout", "_waits")

    def __init__(self, waits: Waits, timeout: float) -> None:
        self._waits = waits
        self._timeout = timeout

    def __call__(self, sender: object) -> Patience:
        """Return the context in which *sender* is waited for."""
        self._sender = sender
        return self

    def __enter__(self) -> float:
        """Begin, and return how long it may take, in seconds."""
        self._began, timeout = self._waits.begin(self._sender, self._timeout)
        return timeout

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """End."""
        self._waits.end(self._sender, self._began)
        if isinstance(error, (SystemExit, asyncio.CancelledError)):
            raise _as_failure(error) from error


def unlimited(_: object) -> t.ContextManager[None]:
    """Return the context for senders that may take their time."""
    return _UNLIMITED


class Contained:
    """The context for senders in a thread of our own, which they must not end.

    What is no ``Exception``, such as ``SystemExit``, becomes one there: the signal has
    failed, and others go on.
    """

    def __enter__(self) -> None:
        """Begin: the sender may take its time."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """End."""
        if error is not None and not isinstance(error, Exception):
            raise _as_failure(error) from error


def contained(_: object) -> t.ContextManager[None]:
    """Return the context for senders in a thread of our own."""
    return _CONTAINED


def _as_failure(error: BaseException) -> SignalBusError:
    return SignalBusError(f"The sender raised {describe_error(error)}")


_CONTAINED: t.Final = Contained()
_UNLIMITED: t.Final = contextlib.nullcontext()
_all_waits: weakref.WeakSet[Waits] = weakref.WeakSet()


def _after_fork() -> None:
    for waits in list(_all_waits):
        waits.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
