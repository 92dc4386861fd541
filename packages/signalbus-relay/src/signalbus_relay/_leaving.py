"""End the process even if threads hang that cannot be ended."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import typing as t

#: How long the log and the output may take to be written, in seconds.
LAST_WORDS: t.Final = 0.5


def leave(status: int) -> t.NoReturn:
    """End the process with *status*, waiting only for its output to be written."""
    flushing = threading.Thread(target=_flush, daemon=True)
    flushing.start()
    flushing.join(LAST_WORDS)
    os._exit(status)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    logging.shutdown()
