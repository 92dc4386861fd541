"""Stop when told to: at once while waiting, after the burst at hand while sending."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import typing as t

from signalbus.stopping import StopToken

if t.TYPE_CHECKING:
    from types import FrameType
    from types import TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)

_STOPPING = b"\r\033[KStopping after this burst; Ctrl-C again aborts.\n"


class Stop:
    """Heed SIGTERM and SIGINT while in this context.

    The first of them stops :attr:`token`, to which all waits listen that signalbus does
    in this thread. A second SIGINT raises :exc:`KeyboardInterrupt` on the spot. The
    handlers that were there before come back in the end. Outside of the main thread
    no handler can be set, and none is.
    """

    def __init__(self) -> None:
        self.token = StopToken()
        self._is_idle = False
        self._before: dict[signal.Signals, t.Any] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Stop:  # noqa: PYI034 Self is not in Python 3.10
        """Set the handlers."""
        self._stack.enter_context(self.token.active())
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
        self._stack.close()

    def sleep(self, seconds: float) -> bool:
        """Wait for *seconds*, but no longer when told to stop, and tell whether so."""
        self._is_idle = True
        try:
            return self.token.wait(seconds)
        finally:
            self._is_idle = False

    def starts(self, seconds: float | None) -> t.Iterator[None]:
        """Yield once, or every *seconds* seconds, measured from start to start.

        A run that took longer is followed by the next one at once.
        """
        while True:
            started = time.monotonic()
            yield
            if seconds is None or self.sleep(started + seconds - time.monotonic()):
                return

    def _handle(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 signal's signature
        if self.token.is_stopping and signum == signal.SIGINT:
            raise KeyboardInterrupt
        self.token.stop()
        if signum == signal.SIGINT and not self._is_idle and sys.stderr.isatty():
            # Not through sys.stderr: it may be in the middle of a write.
            os.write(sys.stderr.fileno(), _STOPPING)
