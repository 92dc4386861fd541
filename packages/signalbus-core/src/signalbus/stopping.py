"""Stop waiting when told to: the mechanism behind every wait of signalbus.

A program that can be told to stop (a command, a relay, a consumer) makes a
:class:`StopToken`, and runs its work with the token active::

    token = StopToken()
    with token.active(), token.on_signals():
        bus.flushmany()

Once the token is stopped, every wait in that thread ends at once, and no further burst
begins. The burst at hand is finished. Code that waits calls :func:`wait` instead of
``time.sleep``.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import selectors
import signal
import socket
import threading
import time
import typing as t
import weakref

__all__ = ["Selector", "StopToken", "current", "is_stopping", "shielded", "wait"]

#: The signals that ask a process to end.
SIGNALS: t.Final = (signal.SIGTERM, signal.SIGINT)

#: The longest time between two looks at the clock, in seconds. A signal that another
#: thread received does not wake the main thread, where its handler has to run.
LONGEST_NAP = 0.5

#: The class of selectors to wait with, for those who wait for a socket, too. Takes file
#: descriptors of any number, unlike ``select``, where there is a choice.
Selector: t.Any = getattr(selectors, "PollSelector", selectors.SelectSelector)

_Sockets: t.TypeAlias = tuple[socket.socket, socket.socket]


class StopToken:
    """Says whether to stop, and ends the waits of those who listen to it.

    It is stopped once and for all. Any number of threads may wait. A process that forks
    gets a token of its own: to stop it stops only that process.
    """

    def __init__(self) -> None:
        self._is_stopping = False
        self._open()
        _tokens.add(self)

    def stop(self) -> None:
        """End all waits, present and future.

        May be called from any thread, from a signal handler, and more than once.
        """
        self._is_stopping = True
        with contextlib.suppress(BlockingIOError):
            self._sockets[1].send(b"\0")

    @property
    def is_stopping(self) -> bool:
        """Whether :meth:`stop` was called."""
        return self._is_stopping

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for *seconds*, or for ever, but not once told to stop.

        Returns whether to stop.
        """
        until = None if seconds is None else time.monotonic() + seconds
        with Selector() as selector:
            selector.register(self.fileno(), selectors.EVENT_READ)
            while not self._is_stopping:
                left = LONGEST_NAP if until is None else until - time.monotonic()
                if left <= 0:
                    break
                selector.select(min(left, LONGEST_NAP))
        return self._is_stopping

    def fileno(self) -> int:
        """Return a file descriptor that is readable once told to stop, and stays so.

        For those who wait for a socket, too. Do not read from it. It is closed with
        the token, and replaced in a process that forks.
        """
        return self._sockets[0].fileno()

    @contextlib.contextmanager
    def active(self) -> t.Iterator[StopToken]:
        """Let all waits of signalbus in this thread listen to this token.

        Threads that are started meanwhile do not inherit it: each enters it by itself.
        """
        with _activated(self):
            yield self

    @contextlib.contextmanager
    def on_signals(
        self, notify: t.Callable[[int], object] = lambda _: None
    ) -> t.Iterator[StopToken]:
        """Let SIGTERM and SIGINT stop this token.

        The first of them stops the token, and gives both their default action: a second
        one ends the process at once. On leaving the context, the handlers of before are
        restored. Outside the main thread, Python allows no handler, and none is set.

        :param notify: called with the number of the first signal, in its handler.
        """

        def handle(number: int, _: object) -> None:
            for each in SIGNALS:
                signal.signal(each, signal.SIG_DFL)
            self.stop()
            notify(number)

        before: dict[signal.Signals, t.Any] = {}
        if threading.current_thread() is threading.main_thread():
            before = {each: signal.signal(each, handle) for each in SIGNALS}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _open(self) -> None:
        """Make the sockets; they are closed when the token is no longer used."""
        self._sockets: _Sockets = socket.socketpair()
        for end in self._sockets:
            end.setblocking(False)
        weakref.finalize(self, _close, self._sockets)

    def _reopen(self) -> None:
        """Replace the sockets that a fork made common to two processes."""
        _close(self._sockets)
        self._open()


def current() -> StopToken | None:
    """Return the token that is active in this thread, if there is one."""
    return _active.get()


def is_stopping() -> bool:
    """Return whether this thread was told to stop."""
    token = _active.get()
    return token is not None and token.is_stopping


def wait(seconds: float) -> bool:
    """Wait for *seconds*, but not once this thread is told to stop.

    Returns whether to stop. Without an active token it is ``time.sleep``.
    """
    token = _active.get()
    if token is not None:
        return token.wait(seconds)
    time.sleep(max(seconds, 0))
    return False


@contextlib.contextmanager
def shielded() -> t.Iterator[None]:
    """Let waits take their time, though this thread may be told to stop.

    For what has to be finished, such as deleting what was sent. Keep it short.
    """
    with _activated(None):
        yield


@contextlib.contextmanager
def _activated(token: StopToken | None) -> t.Iterator[None]:
    before = _active.set(token)
    try:
        yield
    finally:
        _active.reset(before)


def _close(sockets: _Sockets) -> None:
    for end in sockets:
        end.close()


def _after_fork() -> None:
    for token in list(_tokens):
        token._reopen()  # noqa: SLF001 its own module


_active: contextvars.ContextVar[StopToken | None] = contextvars.ContextVar(
    "signalbus.stopping", default=None
)
_tokens: weakref.WeakSet[StopToken] = weakref.WeakSet()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
