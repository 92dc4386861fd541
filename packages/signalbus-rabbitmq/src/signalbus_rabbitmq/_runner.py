"""Run a consumer until a signal ends it, and start it again when it fails."""

from __future__ import annotations

import itertools
import time
import typing as t

from signalbus.exceptions import BrokerUnavailableError
from signalbus.logs import get_logger
from signalbus.retry import backoff
from signalbus.stopping import StopToken

from signalbus_rabbitmq.exceptions import QueueNotFoundError
from signalbus_rabbitmq.exceptions import TerminatedConsumption

if t.TYPE_CHECKING:
    from signalbus_rabbitmq.consumer import Consumer

logger = get_logger("signalbus.rabbitmq")

#: The waits before connecting again, in seconds: the first and the longest one. A
#: consumer that ran for longer than that begins with the first again.
FIRST_WAIT = 1.0
LONGEST_WAIT = 30.0

#: How many waits grow from the first to the longest.
GROWING_WAITS = 8


class Runner:
    """Starts a consumer, and starts it again when it fails, until told to stop."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._token = StopToken()
        self._logged: str | None = None

    def run(self) -> None:
        """Consume until SIGTERM or SIGINT; a second one ends the process at once.

        In draining mode, nothing is started again: raise TerminatedConsumption.
        """
        with self._token.on_signals(self._consumer.stop):
            self._run()

    def _run(self) -> None:
        waits = _waits()
        while not self._token.is_stopping:
            started = time.monotonic()
            error = self._consume()
            if error is None:
                return
            if time.monotonic() - started > LONGEST_WAIT:
                waits = _waits()
            self._wait(next(waits), error)

    def _consume(self) -> TerminatedConsumption | None:
        try:
            self._consumer.start()
        except TerminatedConsumption as error:
            if self._consumer.draining_mode:
                raise
            return error
        return None

    def _wait(self, seconds: float, error: TerminatedConsumption) -> None:
        if self._token.is_stopping:
            logger.error("%s", error)
        else:
            self._log(seconds, error)
            self._token.wait(seconds)

    def _log(self, seconds: float, error: TerminatedConsumption) -> None:
        """Log *error*, unless it repeats and nothing was consumed in between."""
        if self._logged == str(error) and not error.has_begun:
            return
        self._logged = str(error)
        logger.error(
            "%s The next try is in %.1f seconds; later waits are longer.",
            error,
            seconds,
            exc_info=None if _is_explained(error) else error.__cause__,
        )


def _waits() -> t.Iterator[float]:
    """Yield the waits between the starts of a consumer, without end."""
    growing = backoff(GROWING_WAITS + 1, FIRST_WAIT, LONGEST_WAIT)
    return itertools.chain(growing, itertools.repeat(LONGEST_WAIT))


def _is_explained(error: TerminatedConsumption) -> bool:
    """Return whether *error* needs no traceback: its text says all."""
    return isinstance(error, QueueNotFoundError) or isinstance(
        error.__cause__, BrokerUnavailableError
    )
