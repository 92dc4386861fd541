"""Keep the relay's rows, in a thread of its own."""

from __future__ import annotations

import threading
import time
import typing as t

from signalbus.exceptions import describe_error
from signalbus.logs import get_logger
from signalbus.stopping import StopToken

if t.TYPE_CHECKING:
    from signalbus.typing import SignalModel

    from signalbus_relay._counts import Counts
    from signalbus_relay._status import Status

logger = get_logger("signalbus.relay")

#: The interval between heartbeats, in seconds.
HEARTBEAT: t.Final = 15.0


class Bookkeeper:
    """A thread that keeps the rows of the relay.

    :param models: returns the models of the relay.
    """

    def __init__(
        self,
        status: Status,
        models: t.Callable[[], t.Sequence[SignalModel]],
        counts: Counts,
    ) -> None:
        self._status = status
        self._models = models
        self._counts = counts
        self._token = StopToken()
        self._is_clean = False
        self._thread = threading.Thread(
            target=self._work, name="signalbus-relay status", daemon=True
        )

    def start(self, models: t.Sequence[SignalModel]) -> None:
        """Begin to write the rows of *models*, and start the thread."""
        self._status.begin(models)
        self._thread.start()

    def must_be_careful(self, model: SignalModel) -> bool:
        """Return whether an earlier relay may have ended while it sent *model*.

        Waits for the row in the database of *model*.
        """
        return self._status.must_be_careful(model)

    def release(self) -> None:
        """Release all callers that wait for a row."""
        self._status.release()

    def end(self, deadline: float, *, is_clean: bool) -> bool:
        """End the thread, and return whether it has ended before *deadline*.

        :param is_clean: whether the rows are deleted.
        """
        self._is_clean = is_clean
        self._token.stop()
        if self._thread.is_alive():  # or else it may not have been started
            self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    def _work(self) -> None:
        with self._token.active():
            while not self._token.wait(HEARTBEAT):
                self._try(lambda: self._status.beat(self._models(), self._counts))
        if self._is_clean:
            self._try(self._status.end)

    @staticmethod
    def _try(function: t.Callable[[], object]) -> None:
        try:
            function()
        except Exception as error:  # noqa: BLE001 the relay goes on without its rows
            logger.error("The relay cannot write its row: %s", describe_error(error))  # noqa: TRY400 one line
