"""Run a consumer as a process does: for ever, until a signal ends it."""

from __future__ import annotations

import logging
import os
import select
import signal
import time
import typing as t

from signalbus.exceptions import BrokerUnavailableError
from signalbus.retry import backoff

from signalbus_rabbitmq._wakeup import Wakeup
from signalbus_rabbitmq.exceptions import QueueNotFoundError
from signalbus_rabbitmq.exceptions import TerminatedConsumption

if t.TYPE_CHECKING:
    from signalbus_rabbitmq.consumer import Consumer

logger = logging.getLogger("signalbus.rabbitmq")

#: The waits before connecting again, in seconds: the first and the longest one. Who
#: consumed for longer than that begins with the first again.
FIRST_WAIT = 1.0
LONGEST_WAIT = 30.0

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Runner:
    """Start a consumer, and again when it ends by itself, until told to stop."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._wakeup = Wakeup()
        self._is_stopping = False
        self._logged: str | None = None

    def run(self) -> None:
        """Consume, with the process's signals as the wish to end.

        In draining mode, nothing is started again: raise TerminatedConsumption.
        """
        before = {signum: signal.signal(signum, self._stop) for signum in SIGNALS}
        try:
            self._consume_again_and_again()
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)
            self._wakeup.close()

    def _consume_again_and_again(self) -> None:
        waits = self._waits()
        while not self._is_stopping:
            started = time.monotonic()
            error = self._consume()
            if error is None:
                return
            if time.monotonic() - started > LONGEST_WAIT:
                waits = self._waits()
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
        if self._is_stopping:
            logger.error("%s", error)
            return
        self._log(seconds, error)
        select.select([self._wakeup], [], [], seconds)

    def _log(self, seconds: float, error: TerminatedConsumption) -> None:
        """Log what happened; the same thing once, until it was over in between."""
        if self._logged == str(error) and not error.has_begun:
            return
        self._logged = str(error)
        logger.error(
            "%s The next try is in %.1f seconds, later ones after longer waits.",
            error,
            seconds,
            exc_info=None if _is_explained(error) else error.__cause__,
        )

    @staticmethod
    def _waits() -> t.Iterator[float]:
        yield from backoff(9, FIRST_WAIT, LONGEST_WAIT)
        while True:
            yield LONGEST_WAIT

    def _stop(self, signum: int, frame: t.Any) -> None:
        """Stop; and leave the next signal to the system, which ends the process."""
        for each in SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        if self._is_stopping:  # both came before Python looked
            os.kill(os.getpid(), signum)
        self._is_stopping = True
        self._consumer.stop(signum, frame)
        self._wakeup.wake()


def _is_unavailable(error: TerminatedConsumption) -> bool:
    return isinstance(error.__cause__, BrokerUnavailableError)


def _is_explained(error: TerminatedConsumption) -> bool:
    return _is_unavailable(error) or isinstance(error, QueueNotFoundError)
