"""What was promised of our own speed, and whether the figures keep it."""

from __future__ import annotations

import dataclasses
import typing as t

from benchmarks.cases import OURS
from benchmarks.catalogue import CASES
from benchmarks.report import LIMIT

if t.TYPE_CHECKING:
    from benchmarks.cases import Case
    from benchmarks.cases import Goal
    from benchmarks.report import Entry


@dataclasses.dataclass(frozen=True)
class Verdict:
    """How a goal was met.

    :param promise: the goal, for people.
    :param reached: how many times as fast as the reference ours is.
    """

    case: str
    title: str
    promise: str
    reached: float
    kept: bool


def verdicts(cases: t.Iterable[Case], entries: t.Iterable[Entry]) -> list[Verdict]:
    """Return a verdict on every goal of *cases* that the figures can tell."""
    by_case = {entry.case: entry for entry in entries}
    return [
        Verdict(case.name, case.title, _promise(goal), reached, reached >= goal.times)
        for case in cases
        for goal in case.goals
        if (reached := _reached(case.name, goal, by_case)) is not None
    ]


def _promise(goal: Goal) -> str:
    than = _name(goal.than)
    return f"at least {goal.times:.3g} times {than}"


def _name(reference: str) -> str:
    if reference == LIMIT:
        return "the limit"
    titles = [case.title for case in CASES if case.name == reference]
    return titles[0] if titles else reference


def _reached(case: str, goal: Goal, entries: t.Mapping[str, Entry]) -> float | None:
    """Compare ours to a subject of the case, or to itself in another case."""
    ours = entries[case].line(OURS) if case in entries else None
    if ours is None:
        return None
    if goal.than in entries:
        other = entries[goal.than].line(OURS)
        return other.time / ours.time if other and other.time and ours.time else None
    return ours.ratios.get(goal.than)
