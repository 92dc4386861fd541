"""Format times for people: how long ago, and how soon."""

from __future__ import annotations

import datetime as dt
import typing as t

#: The units, from the longest one, in seconds.
_UNITS: t.Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def ago(time: dt.datetime) -> str:
    """Return how long ago *time* was."""
    return f"{_span(_now() - time)} ago"


def until(time: dt.datetime | None) -> str:
    """Return how soon *time* comes; the time of a parked signal never comes."""
    if time is None:
        return "parked"
    left = time - _now()
    return "now" if left <= dt.timedelta() else f"in {_span(left)}"


def _span(span: dt.timedelta) -> str:
    """Return *span* in the longest unit of which it has at least two."""
    seconds = max(0, round(span.total_seconds()))
    unit, length = next(
        (unit, length)
        for unit, length in _UNITS
        if seconds >= 2 * length or unit == "s"
    )
    return f"{seconds // length} {unit}"


def _now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)
