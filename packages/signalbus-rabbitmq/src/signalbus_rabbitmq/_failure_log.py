"""Log the failures of messages: each kind when it begins, and then now and again."""

from __future__ import annotations

import logging
import time
import traceback
import typing as t

from signalbus.exceptions import describe_error
from signalbus.exceptions import escape_controls

logger = logging.getLogger("signalbus.rabbitmq")

#: How long failures that are alike are only counted, in seconds.
SILENCE = 60.0

#: The type of an exception, and where it was raised.
Kind: t.TypeAlias = "tuple[type[BaseException], object, int]"


class FailureLog:
    """Log a failure with its traceback, and those like it as a number, once a minute.

    A database that is down fails every message: that is one line a minute, not one a
    message. The level ``DEBUG`` has them all.
    """

    def __init__(self) -> None:
        self._logged: dict[Kind, float] = {}
        self._silent: dict[Kind, int] = {}

    def note(self, what: str, error: Exception) -> None:
        """Log *what* failed, because of *error*, unless it is one of many."""
        kind = _kind(error)
        if not self._is_due(kind):
            self._silent[kind] = self._silent.get(kind, 0) + 1
            logger.debug("%s %s", what, describe(error))
            return
        others = self._silent.pop(kind, 0)
        counted = f" (And {others:,} failures like this since the last.)"
        logger.warning(
            "%s %s%s", what, describe(error), counted if others else "", exc_info=error
        )

    def tell(self, what: str, error: Exception) -> None:
        """Log the end of *what* as an error; with a traceback, unless there was one."""
        trace = error if self._is_due(_kind(error)) else None
        logger.error("%s %s", what, describe(error), exc_info=trace)

    def _is_due(self, kind: Kind) -> bool:
        """Tell whether to log a failure of this kind in full; note that it is done."""
        now = time.monotonic()
        if now - self._logged.get(kind, -SILENCE) < SILENCE:
            return False
        self._logged[kind] = now
        return True


def escape_traceback(record: logging.LogRecord) -> bool:
    """Escape control characters in the traceback of *record*: it quotes the error."""
    if record.exc_info and not record.exc_text:
        lines = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        record.exc_text = "\n".join(map(escape_controls, lines.split("\n")))
    return True


def describe(error: BaseException) -> str:
    """Return the type and text of *error* as a single line that ends in a stop."""
    return describe_error(error).rstrip(".") + "."


def _kind(error: Exception) -> Kind:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return type(error), trace and trace.tb_frame.f_code, trace.tb_lineno if trace else 0


logger.addFilter(escape_traceback)
