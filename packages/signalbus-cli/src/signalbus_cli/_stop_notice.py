"""Print on a terminal, after Ctrl-C, when the command ends."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import typing as t

if t.TYPE_CHECKING:
    from signalbus import SignalBus

Flush: t.TypeAlias = "t.Callable[[SignalBus], object]"

#: What removes the progress display and the "^C".
CLEAR = b"\r\033[K"

STOPPING = b"Stopping.\n"

STOPPING_LATER = (
    b"Stopping after the current burst, if any. Press Ctrl-C again to quit at once.\n"
)


class StopNotice:
    """Prints when the command ends, which depends on whether it is flushing."""

    def __init__(self) -> None:
        self._is_flushing = False

    def watch(self, flush: Flush) -> Flush:
        """Return *flush*, and know when it runs."""

        def watched(bus: SignalBus) -> object:
            self._is_flushing = True
            try:
                return flush(bus)
            finally:
                self._is_flushing = False

        return watched

    def show(self, signum: int) -> None:
        """Print the notice, if *signum* is Ctrl-C and stderr is a terminal.

        Called in a signal handler. It bypasses ``sys.stderr``, which may be in the
        middle of a write, and must not raise an error into the burst.
        """
        if signum == signal.SIGINT and sys.stderr.isatty():
            notice = STOPPING_LATER if self._is_flushing else STOPPING
            with contextlib.suppress(OSError):
                os.write(sys.stderr.fileno(), CLEAR + notice)
