"""The condition of a relay, as its health endpoint reports it."""

from __future__ import annotations

import typing as t

from signalbus.breakers import sender_name

if t.TYPE_CHECKING:
    import datetime as dt

    from signalbus.breakers import CircuitBreakers

    from signalbus_relay._counts import Counts
    from signalbus_relay._lane import Lane
    from signalbus_relay._lanes import Lanes
    from signalbus_relay._reports import Reports

#: After how many seconds without progress, or without a database, a relay is unhealthy.
PATIENCE: t.Final = 60.0


class Condition:
    """Whether the relay is healthy, and what each part of it is doing."""

    def __init__(
        self,
        lanes: Lanes,
        breakers: CircuitBreakers,
        reports: Reports,
        counts: Counts,
        listeners: t.Callable[[], dict[str, str]],
    ) -> None:
        self._lanes = lanes
        self._breakers = breakers
        self._reports = reports
        self._counts = counts
        self._listeners = listeners

    def report(self) -> tuple[bool, dict[str, t.Any]]:
        """Return whether all is well, and the details.

        A broker that is down is not the relay's fault. A thread that has ended, one
        that makes no progress, and a database that cannot be reached are.
        """
        is_healthy = (
            all(lane.is_alive and _seconds(lane) < PATIENCE for lane in self._lanes)
            and self._reports.longest_outage() < PATIENCE
        )
        return is_healthy, {
            "lanes": {lane.name: self._of_lane(lane) for lane in self._lanes},
            "breakers": {
                sender_name(sender): round(seconds, 1)
                for sender, seconds in self._breakers.open().items()
            },
            "listeners": self._listeners(),
            "last_success": _text(self._last_success(self._lanes)),
        }

    def _of_lane(self, lane: Lane) -> dict[str, t.Any]:
        counts = [self._counts.of(model) for model in lane.models]
        errors = [each.last_error for each in counts if each.last_error]
        return {
            "models": [model.__name__ for model in lane.models],
            "state": _state(lane),
            "last_success": _text(self._last_success([lane])),
            "last_error": errors[-1] if errors else None,
            "running_for": round(_seconds(lane), 1),
        }

    def _last_success(self, lanes: t.Iterable[Lane]) -> dt.datetime | None:
        """Return when a signal of *lanes* was last sent."""
        models = [model for lane in lanes for model in lane.models]
        times = [self._counts.of(model).last_success for model in models]
        return max((time for time in times if time is not None), default=None)


def _state(lane: Lane) -> str:
    """Return what a lane is doing: the activity of its busiest thread."""
    if not lane.is_alive:
        return "dead"
    states = {activity.state for activity in lane.activities}
    return next(each for each in ("sending", "looking", "waiting") if each in states)


def _seconds(lane: Lane) -> float:
    """Return how many seconds a thread of the lane has made no progress."""
    return max(activity.seconds for activity in lane.activities)


def _text(time: dt.datetime | None) -> str | None:
    return None if time is None else time.isoformat()
