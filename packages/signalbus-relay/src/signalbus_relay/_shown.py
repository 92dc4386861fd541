"""Show on stderr what the relay logs, where the app does not configure logging."""

from __future__ import annotations

import contextlib
import logging
import typing as t

import click
from signalbus.exceptions import clean_line
from signalbus_cli.output import print_warning


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
        text = record.getMessage()
        with contextlib.suppress(OSError, ValueError):  # nobody reads stderr any more
            if record.levelno >= logging.ERROR:
                click.secho(f"Error: {clean_line(text)}", err=True, fg="red")
            else:
                print_warning(text)
