"""Log failures of messages: each kind in full once a minute, the others as a count."""

from __future__ import annotations

import time
import typing as t

from signalbus.exceptions import describe_error
from signalbus.logs import get_logger

logger = get_logger("signalbus.rabbitmq")

#: How long failures of the same kind are only counted, in seconds.
QUIET_SECONDS = 60.0

#: The type of an exception, and where it was raised.
Kind: t.TypeAlias = "tuple[type[BaseException], object, int]"


class FailureLog:
    """Logs a failure with its traceback, and others of its kind as a count.

    A database that is down fails every message: that is one line per minute, not one
    per message. The level ``DEBUG`` has them all.
    """

    def __init__(self) -> None:
        self._logged: dict[Kind, float] = {}
        self._counts: dict[Kind, int] = {}

    def warn(self, what: str, error: Exception) -> None:
        """Log that *what* failed because of *error*, in full or as one of a count."""
        kind = _kind(error)
        if not self._is_due(kind):
            self._counts[kind] = self._counts.get(kind, 0) + 1
            logger.debug("%s %s", what, describe(error))
            return
        others = self._counts.pop(kind, 0)
        counted = f" ({others:,} more failures of this kind since the last line.)"
        logger.warning(
            "%s %s%s", what, describe(error), counted if others else "", exc_info=error
        )

    def error(self, what: str, error: Exception) -> None:
        """Log the last failure of *what* as an error. Omit a known traceback."""
        trace = error if self._is_due(_kind(error)) else None
        logger.error("%s %s", what, describe(error), exc_info=trace)

    def _is_due(self, kind: Kind) -> bool:
        """Return whether a failure of this kind is to be logged in full now."""
        now = time.monotonic()
        if now - self._logged.get(kind, -QUIET_SECONDS) < QUIET_SECONDS:
            return False
        self._logged[kind] = now
        return True


def describe(error: BaseException) -> str:
    """Return the type and text of *error* as a single line that ends in a full stop."""
    return describe_error(error).rstrip(".") + "."


def _kind(error: Exception) -> Kind:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return type(error), trace and trace.tb_frame.f_code, trace.tb_lineno if trace else 0
