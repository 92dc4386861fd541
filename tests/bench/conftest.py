"""What the tests of the benchmark have in common: the figures of a made-up case."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

sys.path.append(str(ROOT))  # the benchmark is installed nowhere

from benchmarks import cases  # noqa: E402 needs the path
from benchmarks import report  # noqa: E402
from benchmarks.job import Outcome  # noqa: E402
from benchmarks.measure import Result  # noqa: E402


@pytest.fixture
def case() -> cases.Case:
    """Give a case with ours, the predecessor, a limit and a goal."""
    return cases.Case(
        "errands",
        "errands to run",
        (cases.ours("no:work"), cases.theirs("no:work"), cases.TAKE),
        goal=cases.Goal(5, cases.THEIRS, cases.THEIRS),
        size=10,
    )


@pytest.fixture
def result(case: cases.Case) -> t.Callable[..., Result]:
    """Make a result with ``result(ours, theirs, limit)``: µs per signal, by round."""

    def make(*times: t.Sequence[float]) -> Result:
        made = Result(case)
        for subject, rounds in zip(case.subjects, times, strict=True):
            made.outcomes[subject] = [
                Outcome(10, time * 10 / 1e6, time * 5 / 1e6, memory=9, memory_before=7)
                for time in rounds
            ]
        return made

    return make


@pytest.fixture
def entry(result: t.Callable[..., Result]) -> report.Entry:
    """Give the figures of one round."""
    return report.entry(result([10], [80], [5]))
