"""What was measured, as figures: medians over the rounds, and ratios between subjects.

A ratio compares two subjects within each round, then takes the median: so what slows
down the whole machine for a while cancels out.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import statistics
import typing as t

if t.TYPE_CHECKING:
    from benchmarks.cases import Case
    from benchmarks.cases import Subject
    from benchmarks.job import Outcome
    from benchmarks.measure import Result

LIMIT = "limit"


@dataclasses.dataclass(frozen=True)
class Line:
    """The figures of one subject.

    :param time: the median time of a signal, in µs.
    :param times: that of every round.
    :param spread: how far the rounds are from the median at most, as a share of it.
    :param cpu: the median processor time of a signal in our processes, in µs.
    :param memory: the most memory its processes have held, in MiB.
    :param growth: how much of that came with the work.
    :param ratios: how many times as fast it is, by the name of what it is compared to.
    :param failure: why there are no figures.
    """

    subject: str
    time: float | None = None
    times: tuple[float, ...] = ()
    spread: float | None = None
    cpu: float | None = None
    memory: float | None = None
    growth: float | None = None
    ratios: t.Mapping[str, float] = dataclasses.field(default_factory=dict)
    facts: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    failure: str | None = None

    @property
    def rate(self) -> float | None:
        """Signals in a second."""
        return 1e6 / self.time if self.time and self.time > 0 else None


@dataclasses.dataclass(frozen=True)
class Entry:
    """The figures of a case: a line for each subject, or why it was skipped."""

    case: str
    title: str
    size: int
    rounds: int
    date: str
    lines: tuple[Line, ...] = ()
    skipped: str | None = None

    def line(self, subject: str) -> Line | None:
        """Return the line of a subject, if it has figures."""
        for line in self.lines:
            if line.subject == subject and line.time is not None:
                return line
        return None


def skipped(case: Case, reason: str) -> Entry:
    """Return the entry of a case that could not be measured."""
    return Entry(case.name, case.title, case.size, 0, _today(), skipped=reason)


def entry(result: Result) -> Entry:
    """Return the figures of a case."""
    case = result.case
    rounds = max(map(len, result.outcomes.values()), default=0)
    lines = tuple(_line(result, subject) for subject in case.subjects)
    return Entry(case.name, case.title, case.size, rounds, _today(), lines)


def _line(result: Result, subject: Subject) -> Line:
    outcomes = result.outcomes[subject]
    if not outcomes or subject in result.failures:
        return Line(subject.name, failure=result.failures.get(subject, "not measured"))
    times = _times(outcomes)
    typical = statistics.median(times)
    return Line(
        subject.name,
        time=typical,
        times=tuple(times),
        spread=max(abs(time - typical) for time in times) / abs(typical),
        cpu=_cpu(outcomes),
        memory=max(each.memory for each in outcomes),
        growth=max(each.memory - each.memory_before for each in outcomes),
        ratios=_ratios(result, subject),
        facts=outcomes[-1].facts,
    )


def _times(outcomes: t.Iterable[Outcome]) -> list[float]:
    return [outcome.seconds / outcome.signals * 1e6 for outcome in outcomes]


def _cpu(outcomes: t.Iterable[Outcome]) -> float | None:
    """Return the median processor time, if it was taken at all."""
    times = [outcome.cpu_seconds / outcome.signals * 1e6 for outcome in outcomes]
    return statistics.median(times) if any(times) else None


def _ratios(result: Result, subject: Subject) -> dict[str, float]:
    """Compare a subject to the first limit, and to the predecessor."""
    others = [each for each in result.case.subjects if each.library != "signalbus"]
    references: dict[str, Subject] = {}
    for other in others:
        references.setdefault(LIMIT if other.is_limit else other.name, other)
    return {
        name: _ratio(result.outcomes[subject], result.outcomes[other])
        for name, other in references.items()
        if other is not subject and result.outcomes[other]
    }


def _ratio(ours: t.Sequence[Outcome], theirs: t.Sequence[Outcome]) -> float:
    pairs = zip(_times(theirs), _times(ours), strict=False)
    return statistics.median(other / one for other, one in pairs)


def _today() -> str:
    return dt.datetime.now(tz=dt.timezone.utc).date().isoformat()
