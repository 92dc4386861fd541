"""End a relay in time, even if something hangs: the lanes first, then the rest."""

from __future__ import annotations

import threading
import time
import typing as t

from signalbus.logs import get_logger

if t.TYPE_CHECKING:
    from signalbus_relay._activity import Activity
    from signalbus_relay._bookkeeper import Bookkeeper
    from signalbus_relay._lanes import Lanes

logger = get_logger("signalbus.relay")

#: How long lanes may take to end before it is reported what they are waited for, and
#: what is kept of the grace for the end of everything else: its share, and the most.
NOTICE_AFTER: t.Final = 0.3
RESERVE: t.Final = 0.25
MAX_RESERVE: t.Final = 2.0

#: How long the end of everything else may take whatever the grace, in seconds: a row
#: that is left behind would tell the next relay that this one had crashed.
MIN_CLOSING: t.Final = 0.5


class Service(t.Protocol):
    """An object that has threads, or a port, of its own."""

    def stop(self) -> None:
        """Close it, which may take a while."""


class Ending:
    """The end of a relay. It begins when this is made.

    :param services: the objects to close after the lanes.
    :param grace: how long the end may take, in seconds.
    :ivar is_hanging: whether threads were left behind.
    """

    def __init__(
        self,
        lanes: Lanes,
        bookkeeper: Bookkeeper,
        services: t.Sequence[Service],
        grace: float,
    ) -> None:
        self.is_hanging = False
        self._lanes = lanes
        self._bookkeeper = bookkeeper
        self._services = services
        self._grace = grace
        self._deadline = time.monotonic() + grace

    def end(self) -> int:
        """End everything, and return the exit status."""
        is_broken = not all(lane.is_alive for lane in self._lanes)
        for lane in self._lanes:
            lane.stop()
        self._bookkeeper.release()
        hanging = self._join(self._deadline - min(MAX_RESERVE, RESERVE * self._grace))
        if hanging:
            names = _names(hanging)
            logger.error("The relay ends without waiting any longer for %s.", names)
        is_sending = any(activity.is_sending for activity in hanging)
        status = 1 if is_sending or is_broken else 0
        deadline = max(self._deadline, time.monotonic() + MIN_CLOSING)
        has_closed = self._close(deadline, is_clean=not status)
        self.is_hanging = bool(hanging) or not has_closed
        return status

    def _join(self, deadline: float) -> list[Activity]:
        """Wait for the lanes, and return the activities of those that are left."""
        self._wait_for_lanes(min(deadline, time.monotonic() + NOTICE_AFTER))
        if busy := self._busy():
            logger.warning(
                "Stopping: waiting up to %.0f s for %s. A second signal ends the relay"
                " at once.",
                max(0.0, deadline - time.monotonic()),
                _names(busy),
            )
        self._wait_for_lanes(deadline)
        return self._busy()

    def _wait_for_lanes(self, deadline: float) -> None:
        for lane in self._lanes:
            lane.join(deadline)

    def _busy(self) -> list[Activity]:
        return [activity for lane in self._lanes for activity in lane.busy]

    def _close(self, deadline: float, *, is_clean: bool) -> bool:
        """Close the rest, and return whether that was done before *deadline*.

        :param is_clean: whether the relay's row is deleted.
        """
        threads = [
            threading.Thread(target=service.stop, daemon=True)
            for service in self._services
        ]
        for thread in threads:
            thread.start()
        has_ended = self._bookkeeper.end(deadline, is_clean=is_clean)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return has_ended and not any(thread.is_alive() for thread in threads)


def _names(activities: t.Iterable[Activity]) -> str:
    """Return the names of the models that are being worked on."""
    models = [each.model for each in activities]
    return ", ".join(dict.fromkeys(model.__name__ for model in models if model))
