"""What was promised of our own speed, and whether the figures keep it."""

from __future__ import annotations

import dataclasses
import typing as t

from benchmarks.cases import OURS

if t.TYPE_CHECKING:
    from benchmarks.cases import Case
    from benchmarks.cases import Goal
    from benchmarks.report import Entry
    from benchmarks.report import Line
    from benchmarks.report import Range


@dataclasses.dataclass(frozen=True)
class Verdict:
    """How a goal was met.

    :param reached: how many times as fast as the reference ours is.
    """

    case: str
    goal: Goal
    reached: Range

    @property
    def word(self) -> str:
        """``kept`` and ``missed`` are for what all rounds agree upon."""
        if self.reached.low >= self.goal.times:
            return "kept"
        return "missed" if self.reached.high < self.goal.times else "uncertain"


def verdicts(cases: t.Iterable[Case], entries: t.Iterable[Entry]) -> list[Verdict]:
    """Return a verdict on every goal of *cases* that the figures can tell."""
    by_case = {entry.case: entry for entry in entries}
    return [
        Verdict(case.name, case.goal, ours.ratio(other))
        for case in cases
        if case.goal
        and (ours := _line(by_case, case.name, OURS))
        and (other := _reference(by_case, case.name, case.goal))
    ]


def _reference(entries: t.Mapping[str, Entry], case: str, goal: Goal) -> Line | None:
    """Return a subject of the case, or ours in the case that the goal names."""
    if goal.than in entries:
        return _line(entries, goal.than, OURS)
    return _line(entries, case, goal.than)


def _line(entries: t.Mapping[str, Entry], case: str, subject: str) -> Line | None:
    return entries[case].line(subject) if case in entries else None
