"""Announce committed signals to relays, in a thread of its own.

``NOTIFY`` takes a lock of the whole server cluster at commit. So it is never executed
in the application's transactions, and the committing thread never waits for it.
"""

from __future__ import annotations

import atexit
import os
import queue
import sys
import threading
import time
import typing as t
import weakref

from signalbus.logs import get_logger

from signalbus_relay import _channel
from signalbus_relay._drivers import describe_first_line
from signalbus_relay._line import Line

if t.TYPE_CHECKING:
    import sqlalchemy as sa
    from signalbus.typing import Bus

logger = get_logger("signalbus.relay")

#: The shortest time between two notifications, in seconds.
INTERVAL: t.Final = 0.005

#: How long to wait after a failure, at first and at most, in seconds.
_FIRST_PAUSE: t.Final = 0.1
_MAX_PAUSE: t.Final = 5.0

#: How long the end of the process waits for the last notifications, in seconds.
_LAST_WAIT: t.Final = 0.5


class Notifier:
    """Announces the tables of one database that have new signals.

    The first announcement after a pause is sent at once; later ones are gathered for a
    few milliseconds. Its thread keeps neither the bus nor the engine alive.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._line = Line(engine)
        self._process = os.getpid()
        #: What is to be announced. ``update`` and ``pop`` of sets need no lock.
        self._due: set[str] = set()
        #: Wakes the thread. Unlike an event, it may be put to by a finalizer, which
        #: runs in whatever thread, amidst whatever that does.
        self._wakeups: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_woken = False
        self._is_closed = False
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._pause = 0.0
        _notifiers.add(self)

    def announce(self, tables: set[str]) -> None:
        """Announce that *tables*, by full name, have new signals; return at once."""
        if self._process != os.getpid():  # uWSGI forks without the hooks of Python
            self.forget()
        self._due.update(tables)
        if not self._is_woken:
            self._wake()
        if self._thread is None or not self._thread.is_alive():
            self._start()

    def close(self) -> None:
        """Let the thread send due announcements once more, and end."""
        self._is_closed = True
        self._wake()

    def join(self, seconds: float) -> None:
        """Wait for the end of the thread, but not for long."""
        if self._thread is not None and self._process == os.getpid():
            self._thread.join(max(seconds, 0.0))

    def forget(self) -> None:
        """Start anew in a forked process; everything else belongs to the parent."""
        self._line.forget()
        self._process = os.getpid()
        self._due = set()
        self._wakeups = queue.SimpleQueue()
        self._is_woken = False
        self._starting = threading.Lock()
        self._thread = None
        self._pause = 0.0

    def _start(self) -> None:
        """Start the thread, unless another thread does so, or the process ends."""
        with self._starting:
            is_running = self._thread is not None and self._thread.is_alive()
            if is_running or self._is_closed:
                return
            thread = threading.Thread(
                target=self._run, name="signalbus-notifier", daemon=True
            )
            try:
                thread.start()
            except RuntimeError:  # no thread can be started: relays find it by polling
                return
            self._thread = thread
        _finish_with_child()

    def _run(self) -> None:
        is_closed = False
        while not is_closed:
            self._wakeups.get()
            self._is_woken = False
            is_closed = self._is_closed
            self._send_due()
            if not is_closed:
                time.sleep(self._pause or INTERVAL)
        self._line.close()

    def _wake(self) -> None:
        self._is_woken = True
        self._wakeups.put(None)

    def _send_due(self) -> None:
        """Send due announcements. Those that cannot be sent stay due."""
        tables = self._take_due()
        if not tables:
            return
        try:
            self._line.send(_channel.payload_of(tables))
        except Exception as error:  # noqa: BLE001 there is nobody to raise it to
            self._due.update(tables)
            self._wake()
            self._fail(error)
        else:
            self._succeed()

    def _take_due(self) -> set[str]:
        taken: set[str] = set()
        while self._due:
            taken.add(self._due.pop())
        return taken

    def _fail(self, error: Exception) -> None:
        if not self._pause:
            logger.warning(
                "Relays are not woken by commits of this process, and find new signals"
                " by polling: %s",
                describe_first_line(error),
            )
        self._pause = min(max(self._pause * 2, _FIRST_PAUSE), _MAX_PAUSE)

    def _succeed(self) -> None:
        if self._pause:
            logger.warning("Relays are woken by commits of this process again.")
        self._pause = 0.0


def notifier_of(bus: Bus, engine: sa.Engine) -> Notifier:
    """Return the notifier for the signals of *bus* in the database of *engine*."""
    own = _by_bus.get(bus)
    notifier = None if own is None else own.get(engine)
    return notifier or _make(bus, engine)


def _make(bus: Bus, engine: sa.Engine) -> Notifier:
    with _making:
        own = _by_bus.setdefault(bus, weakref.WeakKeyDictionary())
        notifier = own.get(engine)
        if notifier is None:
            notifier = own[engine] = Notifier(engine)
            for owner in (bus, engine):
                weakref.finalize(owner, notifier.close).atexit = False
        return notifier


def _finish() -> None:
    """Send due announcements before the process exits, if that takes only a moment."""
    until = time.monotonic() + _LAST_WAIT
    with _making:
        notifiers = list(_notifiers)
    for notifier in notifiers:
        notifier.close()
    for notifier in notifiers:
        notifier.join(until - time.monotonic())


def _finish_with_child() -> None:
    """Register :func:`_finish` for the end of a process of ``multiprocessing``.

    Such a process does not call functions that are registered with ``atexit``.
    """
    module = sys.modules.get("multiprocessing.process")
    if module is None or module.parent_process() is None:
        return
    from multiprocessing import util

    with _making:
        if os.getpid() not in _finishing:
            _finishing.add(os.getpid())
            util.Finalize(None, _finish, exitpriority=0)


def _after_fork() -> None:
    global _making  # noqa: PLW0603 another thread of the parent may have held it
    _making = threading.Lock()
    for notifier in list(_notifiers):
        notifier.forget()


#: The notifiers of each bus, by engine: those of a process, as the thread of each is.
_by_bus: weakref.WeakKeyDictionary[
    Bus, weakref.WeakKeyDictionary[sa.Engine, Notifier]
] = weakref.WeakKeyDictionary()
_notifiers: weakref.WeakSet[Notifier] = weakref.WeakSet()
_making = threading.Lock()

#: The processes whose end waits for :func:`_finish`, of which this may be one.
_finishing: set[int] = set()

atexit.register(_finish)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
