"""Send the log of librdkafka to Python's logging, at level DEBUG.

librdkafka logs several lines for every failed attempt to connect. The errors that
signalbus raises say the same.
"""

from __future__ import annotations

import logging
import typing as t

from signalbus.logs import get_logger

logger = get_logger("signalbus.kafka")


class DebugLogger:
    """A logger for confluent-kafka that logs all lines at level DEBUG.

    :param redact: removes secrets from a text.
    """

    def __init__(self, redact: t.Callable[[str], str]) -> None:
        self._redact = redact

    def log(self, level: int, message: str, *values: object) -> None:  # noqa: ARG002 it comes
        """Log a line, whatever level librdkafka gives it."""
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s", self._redact(message % values if values else message))
