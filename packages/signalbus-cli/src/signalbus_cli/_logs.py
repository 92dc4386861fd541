"""Show the warnings of a run where the app has no logging that would."""

from __future__ import annotations

import contextlib
import logging
import typing as t

from signalbus_cli._report import warn

if t.TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def shown_warnings() -> Iterator[None]:
    """Show signalbus's warnings on stderr, unless the app configured logging.

    Its errors are held back: they are told at the end of the run.
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
    def emit(self, record: logging.LogRecord) -> None:
        if logging.WARNING <= record.levelno < logging.ERROR:
            warn(record.getMessage())
