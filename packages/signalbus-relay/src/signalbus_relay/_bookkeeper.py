"""Keep the relay's row, in a thread of its own: a database that hangs delays nobody."""

from __future__ import annotations

import logging
import threading
import time
import typing as t

from signalbus.exceptions import describe_error
from signalbus.retry import is_outage
from signalbus.stopping import StopToken

if t.TYPE_CHECKING:
    from signalbus.typing import SignalModel

    from signalbus_relay._counts import Counts

logger = logging.getLogger("signalbus.relay")

#: How often the row says that the relay is alive, in seconds.
HEARTBEAT: t.Final = 15.0

#: After how many seconds a database is tried again that is down.
RETRY: t.Final = 1.0


class Row(t.Protocol):
    """The relay's row."""

    def begin(self, models: t.Sequence[SignalModel]) -> bool:
        """Write the row; return whether the relay before ended uncleanly."""

    def beat(self, models: t.Sequence[SignalModel], counts: Counts) -> None:
        """Write that the relay is alive."""

    def end(self) -> None:
        """Delete the row."""


class Bookkeeper:
    """A thread that keeps the row of the relay.

    :param models: returns the models of the relay.
    """

    def __init__(
        self, row: Row, models: t.Callable[[], t.Sequence[SignalModel]], counts: Counts
    ) -> None:
        self._row = row
        self._models = models
        self._counts = counts
        self._token = StopToken()
        self._has_begun = threading.Event()
        self._is_careful = False
        self._is_clean = False
        self._has_row = False
        self._thread = threading.Thread(
            target=self._work, name="signalbus-relay status", daemon=True
        )

    def start(self) -> None:
        """Start the thread, which writes the row."""
        self._thread.start()

    def must_be_careful(self) -> bool:
        """Wait for the row, and return whether the relay before ended uncleanly."""
        self._has_begun.wait()
        return self._is_careful

    def release(self) -> None:
        """Let nobody wait for the row any longer."""
        self._has_begun.set()

    def end(self, deadline: float, *, is_clean: bool) -> bool:
        """End the thread, and return whether it has ended before *deadline*.

        :param is_clean: whether the row is deleted.
        """
        self._is_clean = is_clean
        self._token.stop()
        if self._thread.is_alive():  # or else it may not have been started
            self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    def _work(self) -> None:
        with self._token.active():
            while not (self._begin() or self._token.wait(RETRY)):
                pass
            self._has_begun.set()
            while not self._token.wait(HEARTBEAT):
                self._try(lambda: self._row.beat(self._models(), self._counts))
        if self._has_row and self._is_clean:
            self._try(self._row.end)

    def _begin(self) -> bool:
        """Write the row; return whether there is no point in trying again."""
        try:
            self._is_careful = self._row.begin(self._models())
            self._has_row = True
        except Exception as error:  # noqa: BLE001 the relay goes on without its row
            if is_outage(error):
                return False
            _log(error)
        self._has_begun.set()
        return True

    @staticmethod
    def _try(function: t.Callable[[], object]) -> None:
        try:
            function()
        except Exception as error:  # noqa: BLE001 the relay goes on without its row
            if not is_outage(error):  # which the lanes report
                _log(error)


def _log(error: Exception) -> None:
    logger.error("The relay cannot write its row: %s", describe_error(error))
