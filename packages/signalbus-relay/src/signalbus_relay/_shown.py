"""Show on stderr what the relay logs, where the app does not configure logging."""

from __future__ import annotations

import contextlib
import logging
import typing as t

import click
from signalbus.exceptions import escape_controls


@contextlib.contextmanager
def shown_lines() -> t.Iterator[None]:
    """Show the warnings and errors of signalbus, one line each."""
    logger = logging.getLogger("signalbus")
    if logger.hasHandlers():
        yield
        return
    handler = _Lines(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        is_error = record.levelno >= logging.ERROR
        title, colour = ("Error", "red") if is_error else ("Warning", "yellow")
        text = escape_controls(record.getMessage())
        with contextlib.suppress(OSError, ValueError):  # nobody reads stderr any more
            click.secho(f"{title}: {text}", err=True, fg=colour)
