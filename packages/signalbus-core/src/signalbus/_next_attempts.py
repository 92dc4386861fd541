"""When signals that failed are tried again: what plugins answer that settle them."""

from __future__ import annotations

import dataclasses
import math
import typing as t
from collections import abc

from signalbus.logs import get_logger

if t.TYPE_CHECKING:
    from signalbus.typing import NextAttempts
    from signalbus.typing import PrimaryKey

logger = get_logger("signalbus")

#: Units of a wait, and how many seconds each has.
UNITS = {"d": 86_400, "h": 3_600, "min": 60}


class AttemptAnswers:
    """Merges what plugins answer to ``signalbus_burst_settled`` in one run.

    An answer that is not what it should be is logged once, and ignored: the signals
    have been settled.
    """

    def __init__(self) -> None:
        self._has_logged = False

    def merge(
        self,
        answers: t.Sequence[object],
        failed: t.Mapping[PrimaryKey, Exception],
    ) -> NextAttempts:
        """Return when each of the *failed* signals is tried again; the first wins."""
        merged: dict[PrimaryKey, float | None] = {}
        for answer in reversed(answers):
            if _is_valid(answer, failed):
                merged.update(t.cast("NextAttempts", answer))
            elif not self._has_logged:
                self._has_logged = True
                logger.error(
                    "A plugin returned %.100r from signalbus_burst_settled. It must"
                    " return None, or a mapping that has, for primary keys of failed"
                    " signals, the seconds until the next attempt, or None.",
                    answer,
                )
        return merged


@dataclasses.dataclass
class Prospects:
    """What some signals that were not sent can expect."""

    waiting: int = 0
    parked: int = 0
    pending: int = 0
    shortest: float = math.inf

    @property
    def is_settled(self) -> bool:
        """Whether all of them wait or are parked."""
        return not self.pending

    def add(self, key: PrimaryKey, attempts: NextAttempts) -> None:
        """Count a signal, of which *attempts* may know something."""
        if key not in attempts:
            self.pending += 1
        elif (seconds := attempts[key]) is None:
            self.parked += 1
        else:
            self.waiting += 1
            self.shortest = min(self.shortest, seconds)

    def of_one(self) -> str:
        """Return what the only signal can expect: "was not sent and …"."""
        if self.waiting:
            return f"waits, next attempt in {_in_words(self.shortest)}"
        return "is parked" if self.parked else "stays pending"

    def of_several(self) -> str:
        """Return what they can expect: "were not sent…"."""
        if not self.waiting and not self.parked:
            return " and stay pending"
        parts = [""]
        if self.waiting:
            verb = "waits" if self.waiting == 1 else "wait"
            wait = _in_words(self.shortest)
            parts.append(f"{self.waiting:,} {verb}, next in {wait}")
        if self.parked:
            parts.append(f"{self.parked:,} parked")
        if self.pending:
            verb = "stays" if self.pending == 1 else "stay"
            parts.append(f"{self.pending:,} {verb} pending")
        return "; ".join(parts)


def _in_words(seconds: float) -> str:
    """Return a duration in a unit of which there are at least two, or in seconds."""
    for unit, size in UNITS.items():
        if seconds >= 2 * size:
            return f"{round(seconds / size):,} {unit}"
    return f"{math.ceil(seconds)} s"


def _is_valid(answer: object, failed: t.Mapping[PrimaryKey, Exception]) -> bool:
    try:
        return (
            isinstance(answer, abc.Mapping)
            and answer.keys() <= failed.keys()
            and all(map(_is_wait, answer.values()))
        )
    except Exception:  # noqa: BLE001 a mapping of a plugin's own may do anything
        return False


def _is_wait(value: object) -> bool:
    if value is None:
        return True
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and 0 <= t.cast("float", value) < math.inf
