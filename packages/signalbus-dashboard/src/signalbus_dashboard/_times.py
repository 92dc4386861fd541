"""Format times and numbers for people."""

from __future__ import annotations

import datetime as dt
import typing as t

#: The units, from the longest one, in seconds.
_UNITS: t.Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def span(length: dt.timedelta) -> str:
    """Return *length* in the longest unit of which it has at least two."""
    seconds = max(0, round(length.total_seconds()))
    for unit, size in _UNITS:
        if seconds >= 2 * size or unit == "s":
            return f"{seconds // size:,} {unit}"
    raise AssertionError  # pragma: no cover


def ago(time: dt.datetime) -> str:
    """Return how long ago *time* was."""
    return f"{span(_now() - time)} ago"


def until(time: dt.datetime | None) -> str:
    """Return how soon *time* comes; the time of a parked signal never comes."""
    if time is None:
        return "never"
    left = time - _now()
    return "now" if left <= dt.timedelta() else f"in {span(left)}"


def stamp(time: dt.datetime) -> str:
    """Return *time*, in UTC."""
    return f"{time.astimezone(dt.timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def count_text(number: int, *, is_complete: bool = True) -> str:
    """Return *number* as text; mark it if counting has stopped at a limit."""
    return f"{number:,}" if is_complete else f"{number:,}+"


def signals(number: int) -> str:
    """Return *number* with the word "signal" or "signals"."""
    return "1 signal" if number == 1 else f"{number:,} signals"


def _now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)
