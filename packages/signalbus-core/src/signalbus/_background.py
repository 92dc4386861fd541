"""Autoflush in the background: hand over what was recorded, and do not wait."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import typing as t
import weakref

from signalbus._background_thread import BackgroundThread
from signalbus._markers import hookimpl
from signalbus._settings import BACKGROUND
from signalbus._sql import connections
from signalbus.logs import get_logger

if t.TYPE_CHECKING:
    from flask import Flask

    from signalbus._flush import Flusher
    from signalbus.typing import Bus
    from signalbus.typing import Recorded
    from signalbus.typing import SignalModel

logger = get_logger("signalbus")

#: How long the end of a process waits for what is queued, in seconds, and how much
#: longer for the burst at hand.
EXIT_TIMEOUT = 5.0
EXIT_GRACE = 0.5

#: Before what multiprocessing itself does at the end of a child.
EXIT_PRIORITY = 100


class Background:
    """Take charge of autoflush where a bus leaves it to the background.

    Has one thread in each process, made when it is first needed. The thread lives as
    long as this does. A child that a process forks forgets what its parent has queued:
    the parent sends that.

    :param find_app: returns the app at hand.
    """

    def __init__(
        self, flusher: Flusher, find_app: t.Callable[[], Flask | None]
    ) -> None:
        self._flusher = flusher
        self._find_app = find_app
        self._in_memory: weakref.WeakKeyDictionary[Flask, dict[SignalModel, bool]] = (
            weakref.WeakKeyDictionary()
        )
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        """Begin, in a new process."""
        self._process = os.getpid()
        self._thread: BackgroundThread | None = None
        self._finalizer: weakref.finalize[..., Background] | None = None
        self._lock = threading.Lock()

    @property
    def thread(self) -> BackgroundThread | None:
        """The thread of this process, once it was needed.

        Not every fork calls the hooks of Python: that of uWSGI does not.
        """
        if self._process != os.getpid():
            self.forget()
        return self._thread

    @hookimpl(trylast=True)
    def signalbus_autoflush(self, bus: Bus, recorded: Recorded) -> bool | None:
        """Queue what a transaction recorded, for the thread, if the bus says so.

        The one connection of a database in memory is the application's. There, signals
        are sent here and now, as without the background.
        """
        app = self._find_app()
        if app is None or bus.autoflush != BACKGROUND:
            return None
        here = {
            model: keys
            for model, keys in recorded.items()
            if self._is_in_memory(bus, app, model)
        }
        if here:
            rest = {each: recorded[each] for each in recorded if each not in here}
            self._queue(app, rest)
            self._flusher.signalbus_autoflush(here)
        else:
            self._queue(app, recorded)
        return True

    def drain(self, timeout: float) -> bool:
        """Wait until what is queued now was sent or given up; return whether it was."""
        thread = self.thread
        return thread is None or thread.drain(timeout)

    def _queue(self, app: Flask, recorded: Recorded) -> None:
        if recorded:
            thread = self.thread or self._start()
            thread.put(app, recorded)

    def _is_in_memory(self, bus: Bus, app: Flask, model: SignalModel) -> bool:
        """Return whether the app at hand has the table of *model* in memory."""
        known = self._in_memory.get(app)
        if known is None:
            known = self._in_memory.setdefault(app, {})
        answer = known.get(model)
        if answer is None:
            declaration = bus.declaration(model)
            answer = known[model] = connections.is_in_memory(bus.db, declaration)
        return answer

    def _start(self) -> BackgroundThread:
        """Return the thread of this process, made if there is none."""
        with self._lock:
            if self._thread is None:
                thread = BackgroundThread(weakref.WeakMethod(self._flusher.autoflush))
                thread.start()
                self._finalizer = weakref.finalize(self, thread.close)
                self._finalizer.atexit = False  # there, what is queued is sent first
                _register_exit()
                self._thread = thread
            return self._thread

    def forget(self) -> None:
        """Forget the thread of the parent, in a child that was just forked."""
        if self._finalizer is not None:
            self._finalizer.detach()
        self._begin()


def _register_exit() -> None:
    """Have what is queued sent when this process ends.

    A child of multiprocessing ends without ``atexit``, at least before Python 3.13.
    """
    if os.getpid() not in _registered:
        _registered.add(os.getpid())
        atexit.register(_drain_at_exit)
        multiprocessing_util = sys.modules.get("multiprocessing.util")
        if multiprocessing_util is not None:
            multiprocessing_util.Finalize(
                None, _drain_at_exit, exitpriority=EXIT_PRIORITY
            )


def _drain_at_exit() -> None:
    """Send what is queued, as far as there is time for it."""
    threads = [thread for each in list(_all) if (thread := each.thread) is not None]
    until = time.monotonic() + EXIT_TIMEOUT
    for thread, done in [(thread, thread.mark()) for thread in threads]:
        if not done.wait(max(0, until - time.monotonic())):
            logger.warning(
                "This process ends while autoflush in the background has %d signals to"
                " send. What it does not send stays pending.",
                thread.held,
            )
            thread.token.stop()
            done.wait(EXIT_GRACE)


def _after_fork() -> None:
    for each in list(_all):
        each.forget()


#: All in this process, for its forks and its end.
_all: weakref.WeakSet[Background] = weakref.WeakSet()

#: The processes whose end was prepared: this one, and those that it was forked from.
_registered: set[int] = set()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
