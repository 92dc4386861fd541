"""Medians, ranges and goals: what the benchmark makes of its measurements."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from benchmarks.cases import CASES
from benchmarks.figures import as_markdown
from benchmarks.figures import as_text
from benchmarks.figures import figure
from benchmarks.figures import goal
from benchmarks.figures import number
from benchmarks.figures import ratios
from benchmarks.figures import shown
from benchmarks.spec import OURS
from benchmarks.spec import THEIRS
from benchmarks.spec import Bound

if t.TYPE_CHECKING:
    from benchmarks.figures import Figures
    from benchmarks.spec import Case

Make: t.TypeAlias = "t.Callable[..., Figures]"


def test_figure_is_the_median_and_its_range() -> None:
    """One slow round changes the range, and not the median."""
    assert "12.0 (10.0-14.0)" == shown([10, 14, 12], number)


@pytest.mark.parametrize(
    ("unit", "told"), [("µs", "10.0 (8.00-12.5) µs"), ("/s", "100 (80.0-125) /s")]
)
def test_figure_is_in_the_unit_of_its_case(
    case: Case, figures: Make, unit: str, told: str
) -> None:
    """A time, or signals a second."""
    case = dataclasses.replace(case, unit=unit)
    factor = 1 if unit == "µs" else 1000
    rounds = [each * factor for each in (8, 10, 12.5)]

    assert f"{told}, uncertain" == figure(figures(rounds, [], []), case, OURS)


@pytest.mark.parametrize("rounds", [(10, 4, 11), (100, 80, 121)])
def test_figure_with_a_round_far_off_is_uncertain(rounds: tuple[float, ...]) -> None:
    """A fifth of the median is too far, in whichever direction."""
    assert shown(rounds, number).endswith(", uncertain")


def test_figure_whose_rounds_agree_is_certain() -> None:
    """They differ by a fifth of the median at most."""
    assert "100 (80.0-120)" == shown([100, 80, 120], number)


def test_ratio_is_taken_within_rounds() -> None:
    """What slows down a whole round cancels out."""
    assert [8, 8, 8] == ratios([10, 90, 20], [80, 720, 160])


@pytest.mark.parametrize(
    ("rounds", "word"),
    [
        ([10, 12, 15], "kept"),
        ([10, 12, 17], "uncertain"),
        ([17, 17, 10], "uncertain"),
        ([17, 18, 19], "missed"),
    ],
)
def test_goal_is_judged_by_all_rounds(
    case: Case, figures: Make, rounds: list[float], word: str
) -> None:
    """Kept means that every round has kept it; the median alone says nothing."""
    told = goal(figures(rounds, [80, 80, 80], [5, 5, 5]), case)

    assert told.endswith(f": **{word}**")


def test_goal_may_be_another_case(figures: Make) -> None:
    """Ours is compared to ours; a signal took twice as long there."""
    large = next(case for case in CASES if case.name == "table-size/100000")
    (fast,), (slow,) = (figures([x], [80], [5]).values() for x in (10, 20))
    measured = {large.name: fast, "table-size/10000": slow}

    assert "at least 0.9 times 10,000 pending; is 2.00: **kept**" == goal(
        measured, large
    )


@pytest.mark.parametrize(
    ("rounds", "word"), [([9, 10], "kept"), ([9, 11], "uncertain"), ([11], "missed")]
)
def test_goal_may_be_a_bound(
    case: Case, figures: Make, rounds: list[float], word: str
) -> None:
    """A time that must not be exceeded is judged by all rounds, too."""
    bounded = dataclasses.replace(case, goal=Bound(10), unit="µs")

    assert f"at most 10.0 µs: **{word}**" == goal(figures(rounds, [], []), bounded)


def test_goal_of_a_case_without_figures_has_no_verdict(
    case: Case, figures: Make
) -> None:
    """What has no figures is neither kept nor missed."""
    assert "" == goal({}, case)
    assert "" == goal(figures([10], [], [5]), case)


def test_table_has_a_line_for_every_subject(case: Case, figures: Make) -> None:
    """Each subject has a line of figures, and the goal has one."""
    text = as_text(figures([10], [80], [5]), [case])
    cells = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    *_, ours, theirs, limit, verdict = cells

    assert ["errands", OURS, "100,000 /s", "1.00", "5.00", "9.00"] == ours[1:-1]
    assert "8.00" == theirs[4]
    assert "0.50" == limit[4]
    assert "at least 5 times Flask-SignalBus; is 8.00: **kept**" == verdict[3]


def test_table_tells_what_failed(case: Case, figures: Make) -> None:
    """A subject without figures has its reason instead."""
    broken = figures([10], [], [5])
    broken[case.name][THEIRS]["failure"] = "no hatch"
    line = as_text(broken, [case]).splitlines()[-2]

    assert [case.name, THEIRS, "no hatch"] == [
        cell.strip() for cell in line.split("|")[1:4]
    ]


def test_markdown_tells_the_range_and_the_goal(case: Case, figures: Make) -> None:
    """A row has the median, the slowest and the fastest round, and the verdict."""
    measured = figures([10, 10.5, 11], [80, 84, 88], [5, 5, 9])
    row = as_markdown(measured, [case]).splitlines()[-1]

    assert (
        "| errands to run | 95,200 (90,900-100,000) /s | 11,900 (11,400-12,500) /s"
        " | 200,000 (111,000-200,000) /s, uncertain"
        " | at least 5 times Flask-SignalBus; is 8.00: **kept** |"
    ) == " ".join(row.split())


def test_markdown_has_equally_many_cells_in_all_rows(case: Case, figures: Make) -> None:
    """Otherwise it is no table."""
    rows = as_markdown(figures([10], [80], []), [case]).splitlines()

    assert {5 + 1} == {row.count("|") for row in rows}
