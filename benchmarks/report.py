"""What was measured: the time of every round, and from it medians, ranges and ratios.

A ratio compares two subjects within each round, so what slows down the whole machine
for a while cancels out.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import statistics
import typing as t

if t.TYPE_CHECKING:
    from benchmarks.cases import Case
    from benchmarks.cases import Subject
    from benchmarks.job import Outcome
    from benchmarks.measure import Result

#: A figure whose rounds are farther from their median, as a share of it, is uncertain.
UNCERTAIN = 0.2


@dataclasses.dataclass(frozen=True)
class Range:
    """The rounds of a measurement: their median, the least and the most."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: t.Iterable[float]) -> Range:
        """Return the range of *values*, of which there is one at least."""
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[0], ordered[-1])

    @property
    def is_uncertain(self) -> bool:
        """Whether some round is far from the median."""
        return max(self.high - self.median, self.median - self.low) > abs(
            UNCERTAIN * self.median
        )


@dataclasses.dataclass(frozen=True)
class Line:
    """The figures of one subject.

    :param times: the time of a signal in every round, in µs.
    :param cpu: the median processor time of a signal in our processes, in µs.
    :param memory: the most memory its processes have held, in MiB.
    :param growth: how much of that came with the work.
    :param failure: why there are no figures.
    """

    subject: str
    times: tuple[float, ...] = ()
    cpu: float = 0.0
    memory: float = 0.0
    growth: float = 0.0
    failure: str | None = None

    @property
    def time(self) -> Range:
        """The time of a signal, in µs."""
        return Range.of(self.times)

    @property
    def rate(self) -> Range:
        """Signals in a second."""
        return Range.of(1e6 / time for time in self.times)

    def ratio(self, other: Line) -> Range:
        """Return how many times as fast as *other* it is, round by round."""
        pairs = zip(self.times, other.times, strict=False)
        return Range.of(theirs / ours for ours, theirs in pairs)


@dataclasses.dataclass(frozen=True)
class Entry:
    """The figures of a case: a line for each subject, or why it was skipped."""

    case: str
    title: str
    size: int
    date: str
    lines: tuple[Line, ...] = ()
    skipped: str | None = None

    def line(self, subject: str) -> Line | None:
        """Return the line of the subject whose name begins so, if it has figures."""
        found = (line for line in self.lines if line.subject.startswith(subject))
        return next((line for line in found if line.times), None)


@dataclasses.dataclass(frozen=True)
class Document:
    """The figures of a machine.

    :param machine: what :func:`benchmarks.machine.describe` says.
    """

    machine: t.Mapping[str, str]
    entries: tuple[Entry, ...]

    def to_json(self) -> str:
        """Return the document as text."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Document:
        """Return the document that was written as *text*."""
        content = json.loads(text)
        return cls(content["machine"], tuple(map(_entry, content["entries"])))

    def updated(self, newer: Document, order: t.Sequence[str]) -> Document:
        """Return *newer*, and what it lacks and was measured on the same machine.

        :param order: the names of all cases, in the order of the table.
        """
        if self.machine != newer.machine:
            return newer
        known = {each.case: each for each in (*self.entries, *newer.entries)}
        return Document(newer.machine, tuple(known[n] for n in order if n in known))


def skipped(case: Case, reason: str) -> Entry:
    """Return the entry of a case that could not be measured."""
    return Entry(case.name, case.title, case.size, _today(), skipped=reason)


def entry(result: Result) -> Entry:
    """Return the figures of a case."""
    case = result.case
    lines = tuple(_line(result, subject) for subject in case.subjects)
    return Entry(case.name, case.title, case.size, _today(), lines)


def _line(result: Result, subject: Subject) -> Line:
    outcomes = result.outcomes[subject]
    if not outcomes or subject in result.failures:
        return Line(subject.name, failure=result.failures.get(subject, "not measured"))
    return Line(
        subject.name,
        times=tuple(each.seconds / each.signals * 1e6 for each in outcomes),
        cpu=statistics.median(map(_cpu, outcomes)),
        memory=max(each.memory for each in outcomes),
        growth=max(each.memory - each.memory_before for each in outcomes),
    )


def _cpu(outcome: Outcome) -> float:
    return outcome.cpu_seconds / outcome.signals * 1e6


def _entry(content: dict[str, t.Any]) -> Entry:
    lines = [
        Line(**{**line, "times": tuple(line["times"])}) for line in content["lines"]
    ]
    return Entry(**{**content, "lines": tuple(lines)})


def _today() -> str:
    return dt.datetime.now(tz=dt.timezone.utc).date().isoformat()
