"""Loggers whose records are safe to print.

The text of an error may come from an attacker, or contain a URL with its password.
"""

from __future__ import annotations

import logging
import traceback

from signalbus.exceptions import clean_line

__all__ = ["demote_record", "format_traceback", "get_logger"]


def get_logger(name: str) -> logging.Logger:
    """Return the logger *name*, which hides passwords and prevents log injection.

    A message is one line: its control characters are escaped. The lines of a traceback
    are escaped, too, and indented, so that none looks like the beginning of a record.
    Passwords are hidden as :func:`signalbus.exceptions.hide_passwords` does.

    This applies to records of this logger itself, not to those of its children.
    Handlers that format ``exc_info`` without the formatter of :mod:`logging` get the
    error as it is.
    """
    logger = logging.getLogger(name)
    logger.addFilter(_clean)
    return logger


def format_traceback(error: BaseException) -> str:
    """Return the traceback of *error*, with its causes and no final line break.

    Its lines are indented and escaped, and passwords are hidden.
    """
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(f"  {clean_line(line)}" for line in lines)


def demote_record(record: logging.LogRecord) -> bool:
    """Set the level of *record* to DEBUG, and return whether its logger logs that.

    For filters on the loggers of client libraries, which log as errors what the plugin
    raises anyway.
    """
    record.levelno = logging.DEBUG
    record.levelname = logging.getLevelName(logging.DEBUG)
    return logging.getLogger(record.name).isEnabledFor(logging.DEBUG)


def _clean(record: logging.LogRecord) -> bool:
    """Clean the text of *record*, and let it pass."""
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 the handler reports that
        return True
    line = clean_line(text)
    if line != text:
        record.msg, record.args = "%s", (line,)
    error = record.exc_info[1] if record.exc_info else None
    if error is not None and not record.exc_text:
        record.exc_text = format_traceback(error)
    return True
