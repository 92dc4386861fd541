"""Stop when told to: at once while idle, after the burst at hand while sending."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import typing as t

if t.TYPE_CHECKING:
    from types import FrameType
    from types import TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

#: The longest sleep, in seconds. A signal wakes it, unless another thread received it.
_NAP = 1.0

_STOPPING = b"\r\033[KStopping after this burst; Ctrl-C again aborts.\n"


class Stopped(BaseException):
    """The process was told to stop."""


class Stop:
    """Heed SIGTERM and SIGINT while in this context.

    The first of them is a wish, which :meth:`check` and :meth:`sleep` turn into
    :exc:`Stopped`. A second SIGINT raises :exc:`KeyboardInterrupt` on the spot. The
    handlers that were there before come back in the end. Outside of the main thread
    no handler can be set, and none is.
    """

    def __init__(self) -> None:
        self._wished = False
        self._idle = False
        self._before: dict[signal.Signals, t.Any] = {}

    def __enter__(self) -> Stop:  # noqa: PYI034 Self is not in Python 3.10
        """Set the handlers."""
        if threading.current_thread() is threading.main_thread():
            self._before = {
                signum: signal.signal(signum, self._handle) for signum in _SIGNALS
            }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Put back the handlers that were there before."""
        for signum, handler in self._before.items():
            signal.signal(signum, signal.SIG_DFL if handler is None else handler)

    def check(self) -> None:
        """Raise :exc:`Stopped` if the process was told to stop."""
        if self._wished:
            raise Stopped

    def sleep(self, seconds: float) -> None:
        """Wait for *seconds*, but no longer when told to stop."""
        until = time.monotonic() + seconds
        self._idle = True
        try:
            self.check()
            while (left := until - time.monotonic()) > 0:
                time.sleep(min(left, _NAP))
        finally:
            self._idle = False

    def starts(self, seconds: float | None) -> t.Iterator[None]:
        """Yield once, or every *seconds* seconds, measured from start to start.

        A run that took longer is followed by the next one at once.
        """
        while True:
            started = time.monotonic()
            yield
            if seconds is None:
                return
            self.sleep(started + seconds - time.monotonic())

    def _handle(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 signal's signature
        if self._wished and signum == signal.SIGINT:
            raise KeyboardInterrupt
        self._wished = True
        if self._idle:
            raise Stopped
        if signum == signal.SIGINT and sys.stderr.isatty():
            # Not through sys.stderr: it may be in the middle of a write.
            os.write(sys.stderr.fileno(), _STOPPING)
