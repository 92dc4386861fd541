"""Report a failure that persists over many runs once, not in each of them.

For programs that flush again and again: the commands, and relays.
"""

from __future__ import annotations

import dataclasses
import re
import time
import typing as t

from signalbus.exceptions import ReportLine
from signalbus.exceptions import describe_error
from signalbus.exceptions import escape_controls
from signalbus.exceptions import without_values

__all__ = ["REMINDER_INTERVAL", "FailureTracker", "Reason", "reasons_of"]

#: How often a persistent failure is reported again, in seconds.
REMINDER_INTERVAL = 600.0

#: The beginning of a line, which names the models or the broker.
_SUBJECT = re.compile(r"[^(:]*")

#: The signals that are named as examples, at the end of a line.
_EXAMPLES = re.compile(r" \(first: .*\)$")

#: What a report says of those signals of a line that wait, and those that are parked.
_SETTLED = re.compile(r"; [\d,]+ (?:waits?\b[^;:]*|(?:is |are )?parked)")


@dataclasses.dataclass(frozen=True)
class Reason:
    """A line that says why a run failed.

    :ivar is_settled: whether it is settled what becomes of the signals that it is
        about: they wait for their next attempt, or are parked.
    :ivar about: what failed: ``"broker"`` or ``"database"`` if that is down as a whole,
        or else ``"signals"``.
    """

    line: str
    is_settled: bool = False
    about: str = "signals"


@dataclasses.dataclass
class PersistentFailure:
    """A failure that the last runs have had in common.

    :ivar runs: the number of these runs.
    :ivar reported_at: when it was last reported.
    """

    runs: int
    reported_at: float


class FailureTracker:
    """Remembers the failures of past runs.

    :param clock: returns the time in seconds.
    """

    def __init__(self, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, PersistentFailure] = {}
        self._failed_runs = 0

    def add(self, reasons: t.Collection[Reason]) -> list[str]:
        """Add the *reasons* of a run that failed, and return the lines to report.

        Settled reasons are always reported: their signals are tried rarely, and were in
        this run. Of the others, those are that the run before did not have, and those
        that were last reported too long ago, with the number of runs.
        """
        if not all(reason.is_settled for reason in reasons):
            self._failed_runs += 1
        before, self._failures = self._failures, {}
        lines = (self._add_reason(reason, before) for reason in reasons)
        return [line for line in lines if line is not None]

    def recover(self) -> int:
        """Add a run that did not fail, and return how many failed before it.

        Runs whose reasons were all settled are not counted.
        """
        self._failures = {}
        runs, self._failed_runs = self._failed_runs, 0
        return runs

    def _add_reason(
        self, reason: Reason, before: t.Mapping[str, PersistentFailure]
    ) -> str | None:
        if reason.is_settled:
            return reason.line
        return self._add_line(reason.line, before)

    def _add_line(
        self, line: str, before: t.Mapping[str, PersistentFailure]
    ) -> str | None:
        now, key = self._clock(), _key(line)
        failure = before.get(key)
        if failure is None:
            is_new = key not in self._failures
            self._failures[key] = PersistentFailure(runs=1, reported_at=now)
            return line if is_new else None
        self._failures[key] = failure
        failure.runs += 1
        if now - failure.reported_at < REMINDER_INTERVAL:
            return None
        failure.reported_at = now
        return f"{line} (as in the {failure.runs - 1:,} runs before)"


def _key(line: str) -> str:
    """Return *line* without what tells apart the signals of the same failure."""
    line = _SETTLED.sub("", _EXAMPLES.sub("", line))
    subject = t.cast("re.Match[str]", _SUBJECT.match(line)).group()
    return subject + without_values(line[len(subject) :])


def reasons_of(error: BaseException) -> list[Reason]:
    """Return why a flush failed, one line for each reason.

    These are the notes of *error*. The note that contains *error* itself comes first;
    if there is none, *error* has a line of its own.
    """
    text = describe_error(error)
    reasons = _read_notes(getattr(error, "__notes__", ()))
    first = next((each for each in reasons if text in each.line), Reason(text))
    return [first, *(each for each in reasons if each != first)]


def _read_notes(notes: t.Sequence[str]) -> list[Reason]:
    """Return what the core's report says in *notes*, and what others have added.

    The first line of a report is about the error that has the notes. What others have
    added explains this error, so it is settled if that line is.
    """
    lines = [note for note in notes if isinstance(note, ReportLine)]
    default = lines[0] if lines else ReportLine("")
    return [_read_note(note, default) for note in notes]


def _read_note(note: str, default: ReportLine) -> Reason:
    line = note if isinstance(note, ReportLine) else default
    return Reason(escape_controls(note), line.is_settled, line.about)
