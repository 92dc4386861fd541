"""Report a failure that persists over many runs once, not in each of them."""

from __future__ import annotations

import dataclasses
import re
import time
import typing as t

#: How often a persistent failure is reported again, in seconds.
REMINDER_INTERVAL = 600.0

#: The beginning of a line, which names the models or the broker.
_SUBJECT = re.compile(r"[^(:]*")

#: The parts in which lines about the same failure may differ: quoted values, words with
#: digits, and the signals named as examples.
_VALUES = re.compile(r"""'[^']*'|"[^"]*"|[^\s'"]*\d[^\s'"]*""")
_EXAMPLES = re.compile(r" \(first: .*\)$")

#: How long signals wait, and whether it is one or more of them.
_WAITS = re.compile(r"\bwaits?, next (?:attempt )?in [\d,]+ \w+")


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

    def add(self, lines: t.Iterable[str]) -> list[str]:
        """Add the *lines* of a run that failed, and return those to report.

        These are the failures that the run before did not have, and those that were
        last reported too long ago, with the number of runs.
        """
        self._failed_runs += 1
        before, self._failures = self._failures, {}
        reports = (self._add_line(line, before) for line in lines)
        return [report for report in reports if report is not None]

    def recover(self) -> int:
        """Add a run that did not fail, and return how many failed before it."""
        self._failures = {}
        runs, self._failed_runs = self._failed_runs, 0
        return runs

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
    line = _WAITS.sub("wait", _EXAMPLES.sub("", line))
    subject = t.cast("re.Match[str]", _SUBJECT.match(line)).group()
    return subject + _VALUES.sub("…", line[len(subject) :])
