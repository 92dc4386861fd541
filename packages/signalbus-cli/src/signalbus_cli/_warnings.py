"""Show signalbus's warnings where the app does not log them."""

from __future__ import annotations

import contextlib
import logging
import threading
import typing as t

from signalbus_cli.output import print_warning

if t.TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def shown_warnings() -> Iterator[None]:
    """Show signalbus's warnings on stderr, unless the app has configured logging.

    Leaves out what the command reports itself when its run ends: the errors of the
    core, and a broker that is down, if this thread found it so. The errors that plugins
    log are shown: the command goes on, and nobody else reports them.
    """
    logger = logging.getLogger("signalbus")
    if logger.hasHandlers():
        yield
        return
    handler = _WarningHandler()
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _WarningHandler(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if not self._is_reported(record):
            print_warning(record.getMessage())

    def _is_reported(self, record: logging.LogRecord) -> bool:
        """Return whether the command itself reports this when its run ends."""
        if record.levelno >= logging.ERROR:
            return record.name == "signalbus"
        is_reported = getattr(record, "signalbus_is_reported", False)
        return is_reported and record.thread == self._thread
