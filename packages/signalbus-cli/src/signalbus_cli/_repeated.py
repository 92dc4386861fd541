"""Tell the failures of a relay once, not in each of its runs."""

from __future__ import annotations

import dataclasses
import re
import time
import typing as t

#: How long a failure may go on before it is told again, in seconds.
REMINDER = 600.0

#: What a failure is about: the models, or the broker, at the beginning of its line.
_SUBJECT = re.compile(r"[^(:]*")

#: What differs between failures that are alike: quoted values, words with digits, and
#: the signals that are named as examples.
_VALUES = re.compile(r"""'[^']*'|"[^"]*"|[^\s'"]*\d[^\s'"]*""")
_EXAMPLES = re.compile(r" \(first: .*\)$")


@dataclasses.dataclass
class Failure:
    """A failure that goes on.

    :ivar runs: how many runs in a row have met it.
    :ivar told: when it was told.
    """

    runs: int
    told: float


class Repeated:
    """What the runs before have met.

    :param clock: tells the time, in seconds.
    """

    def __init__(self, clock: t.Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: dict[str, Failure] = {}
        self._failed_runs = 0

    def news(self, lines: t.Iterable[str]) -> list[str]:
        """Return which *lines* of a run that failed are to be told.

        These are the ones that the run before did not have, and those that were told
        too long ago, with a count.
        """
        self._failed_runs += 1
        before, self._failures = self._failures, {}
        return [told for line in lines if (told := self._tell(line, before))]

    def recovered(self) -> int:
        """Note a run that did not fail, and return how many failed before it."""
        self._failures = {}
        runs, self._failed_runs = self._failed_runs, 0
        return runs

    def _tell(self, line: str, before: t.Mapping[str, Failure]) -> str | None:
        now, kind = self._clock(), _kind(line)
        failure = before.get(kind)
        if failure is None:
            is_new = kind not in self._failures
            self._failures[kind] = Failure(runs=1, told=now)
            return line if is_new else None
        self._failures[kind] = failure
        failure.runs += 1
        if now - failure.told < REMINDER:
            return None
        failure.told = now
        return f"{line} (as in the {failure.runs - 1:,} runs before)"


def _kind(line: str) -> str:
    """Return what failures have in common that differ only by their signals."""
    line = _EXAMPLES.sub("", line)
    subject = t.cast("re.Match[str]", _SUBJECT.match(line)).group()
    return subject + _VALUES.sub("…", line[len(subject) :])
