"""Show the warnings of a run where the app has no logging that would."""

from __future__ import annotations

import contextlib
import logging
import threading
import typing as t

from signalbus_cli._report import warn

if t.TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def shown_warnings() -> Iterator[None]:
    """Show signalbus's warnings on stderr, unless the app configured logging.

    Held back is what is told at the end of the run: its errors, and that a broker of
    this thread's run is down.
    """
    logger = logging.getLogger("signalbus")
    if logger.hasHandlers():
        yield
        return
    handler = _Warnings()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Warnings(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        is_reported = getattr(record, "signalbus_is_reported", False)
        if record.levelno >= logging.ERROR or (
            is_reported and record.thread == self._thread
        ):
            return
        warn(record.getMessage())
