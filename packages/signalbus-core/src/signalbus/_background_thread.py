"""The thread that sends in the background what other threads have committed."""

from __future__ import annotations

import contextvars
import dataclasses
import queue
import threading
import time
import typing as t

from signalbus import stopping
from signalbus.logs import get_logger

if t.TYPE_CHECKING:
    import weakref

    from flask import Flask

    from signalbus.typing import PrimaryKey
    from signalbus.typing import Recorded
    from signalbus.typing import SignalModel

logger = get_logger("signalbus")

#: How many primary keys are held at most, those being sent included.
MAX_KEYS = 10_000

#: The longest time between two looks at whether a thread that drains is told to stop,
#: in seconds.
LONGEST_NAP = 0.1

#: How long commits are gathered while there are many, in seconds: larger bursts leave
#: more of the processor, and of the database, to those who commit. And for how long
#: after it has sent what several recorded the thread expects more.
GATHERING = 0.1
BUSY = 0.1

#: Sends what was recorded, within an app context.
Flush: t.TypeAlias = "t.Callable[[Recorded], object]"


@dataclasses.dataclass(frozen=True)
class Entry:
    """What one transaction recorded in one app; *count* primary keys."""

    app: Flask
    recorded: Recorded
    count: int


class BackgroundThread:
    """A daemon thread that sends what other threads put.

    It takes all that is there, and sends it as if one transaction had recorded it. What
    is put meanwhile makes the next bursts. The keys of a model keep their order. What
    fails is logged, and does not end the thread.

    Between bursts it holds no app and no bus, so that these can be garbage-collected.

    :param flush: what sends, and ``None`` once the bus is gone.
    """

    def __init__(self, flush: weakref.WeakMethod[Flush]) -> None:
        #: Stops what the thread does at the moment; what is queued stays pending then.
        self.token = stopping.StopToken()
        self._flush = flush
        # Its methods are atomic: a garbage collection, in any thread, may close this.
        self._items: queue.SimpleQueue[Entry | threading.Event | None] = (
            queue.SimpleQueue()
        )
        self._capacity = Capacity(MAX_KEYS)
        self._busy_until = 0.0
        # The context of this thread belongs to the application.
        context = contextvars.Context()
        self._thread = threading.Thread(
            target=context.run, args=(self._run,), name="signalbus-autoflush"
        )
        self._thread.daemon = True

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, app: Flask, recorded: Recorded) -> None:
        """Queue what a transaction *recorded*, as far as there is room."""
        count = sum(map(len, recorded.values()))
        taken = self._capacity.take(count)
        if taken < count:
            recorded = _first(recorded, taken)
        if taken:
            self._items.put(Entry(app, recorded, taken))

    def mark(self) -> threading.Event:
        """Return an event that is set when all that was put before is done."""
        event = threading.Event()
        self._items.put(event)
        return event

    def drain(self, timeout: float) -> bool:
        """Wait until all that was put before is done, and return whether it is."""
        if threading.current_thread() is self._thread:
            return False
        until = time.monotonic() + timeout
        done = self.mark()
        while not done.wait(max(0, min(LONGEST_NAP, until - time.monotonic()))):
            if stopping.is_stopping() or time.monotonic() >= until:
                return False
        return True

    def close(self) -> None:
        """End the thread after all that was put before."""
        self._items.put(None)

    @property
    def held(self) -> int:
        """How many primary keys are queued or being sent."""
        return self._capacity.taken

    def _run(self) -> None:
        with self.token.active():
            while self._do_next():
                pass

    def _do_next(self) -> bool:
        """Wait for something to do, do all that there is, and return if there is more.

        What it holds meanwhile, it holds in variables of its own.
        """
        items = self._take()
        entries = [item for item in items if isinstance(item, Entry)]
        try:
            for app, recorded in _merged(entries).items():
                self._send(app, recorded)
        finally:
            if len(entries) > 1:
                self._busy_until = time.monotonic() + BUSY
            self._capacity.give_back(sum(entry.count for entry in entries))
            for item in items:
                if isinstance(item, threading.Event):
                    item.set()
        return None not in items

    def _take(self) -> list[Entry | threading.Event | None]:
        """Wait for something to do, and return all that there is."""
        items = [self._items.get()]
        if time.monotonic() < self._busy_until:
            self.token.wait(GATHERING)
        return items + [self._items.get() for _ in range(self._items.qsize())]

    def _send(self, app: Flask, recorded: Recorded) -> None:
        """Send what was recorded in one app; log what fails, whatever it is."""
        try:
            flush = self._flush()
            if flush is not None and not self.token.is_stopping:
                with app.app_context():
                    flush(recorded)
        except BaseException:  # a sender that calls sys.exit must not end the thread
            names = ", ".join(model.__name__ for model in recorded)
            logger.exception("Autoflush in the background failed (%s)", names)


class Capacity:
    """Counts what is taken of a limited number, and logs once when nothing is left.

    Once, until everything was given back.
    """

    def __init__(self, limit: int) -> None:
        self.taken = 0
        self._limit = limit
        self._is_exhausted = False
        # Reentrant: a signal handler, or a finalizer, may commit, too.
        self._lock = threading.RLock()

    def take(self, count: int) -> int:
        """Take *count*, or as many as there are, and return how many."""
        with self._lock:
            taken = min(count, self._limit - self.taken)
            self.taken += taken
            if taken == count or self._is_exhausted:
                return taken
            self._is_exhausted = True
        logger.warning(
            "Autoflush in the background has %d signals to send, and takes no more:"
            " what is committed meanwhile stays pending. Run a relay, which sends it.",
            self._limit,
        )
        return taken

    def give_back(self, count: int) -> None:
        """Make room for *count*."""
        with self._lock:
            self.taken -= count
            if not self.taken:
                self._is_exhausted = False


def _merged(entries: t.Iterable[Entry]) -> dict[Flask, Recorded]:
    """Return what *entries* recorded as if it were one transaction in each app."""
    merged: dict[Flask, dict[SignalModel, dict[PrimaryKey, None]]] = {}
    for entry in entries:
        models = merged.setdefault(entry.app, {})
        for model, keys in entry.recorded.items():
            models.setdefault(model, {}).update(dict.fromkeys(keys))
    return {
        app: {model: list(keys) for model, keys in models.items()}
        for app, models in merged.items()
    }


def _first(recorded: Recorded, count: int) -> Recorded:
    """Return the first *count* keys of what was *recorded*."""
    first = {}
    for model, keys in recorded.items():
        first[model] = keys[:count]
        count -= len(first[model])
    return {model: keys for model, keys in first.items() if keys}
