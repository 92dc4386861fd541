"""What the tests of the benchmark have in common: the figures of a made-up case."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

sys.path.append(str(ROOT))  # the benchmark is installed nowhere

from benchmarks import spec  # noqa: E402 needs the path
from benchmarks.cases import database  # noqa: E402

if t.TYPE_CHECKING:
    from benchmarks.figures import Document
    from benchmarks.figures import Figures


@pytest.fixture
def case() -> spec.Case:
    """Give a case with ours, the predecessor, a limit and a goal."""
    three = (database.INSTANCES, database.THEIRS, database.TAKE)
    goal = spec.Goal(5, spec.THEIRS)
    return spec.Case("errands", "errands to run", three, goal, size=10)


@pytest.fixture
def figures(case: spec.Case) -> t.Callable[..., Figures]:
    """Make figures with ``figures(ours, theirs, limit)``: µs per signal, by round."""

    def make(*times: t.Sequence[float]) -> Figures:
        subjects = zip(case.subjects, times, strict=True)
        return {
            case.name: {
                subject.name: {
                    "µs": rounds,
                    "CPU µs": [each / 2 for each in rounds],
                    "MiB": [9 for _ in rounds],
                    "failure": "",
                }
                for subject, rounds in subjects
            }
        }

    return make


@pytest.fixture
def document(figures: t.Callable[..., Figures]) -> Document:
    """Give figures of one round and of a machine, for a row of the page."""
    (subjects,) = figures([10], [80], [5]).values()
    return {
        "machine": {"Processor": "Abacus, 2 beads"},
        "measured": {"flushmany-instances": "1642-12-31, 1 rounds"},
        "figures": {"flushmany-instances": subjects},
    }
