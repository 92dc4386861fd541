"""Medians, ranges and goals: what the benchmark makes of its measurements."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from benchmarks import goals
from benchmarks import report
from benchmarks import table
from benchmarks.cases import OURS
from benchmarks.cases import THEIRS
from benchmarks.cases import Goal
from benchmarks.report import Line
from benchmarks.report import Range

if t.TYPE_CHECKING:
    from benchmarks.cases import Case
    from benchmarks.measure import Result


def test_figure_is_the_median_and_its_range(result: t.Callable[..., Result]) -> None:
    """One slow round changes the range, and not the median."""
    ours = report.entry(result([10, 99, 12], [1], [1])).line(OURS)

    assert ours
    assert (12, 10, 99) == pytest.approx(dataclasses.astuple(ours.time))


@pytest.mark.parametrize("rounds", [(10, 4, 11), (100, 80, 121)])
def test_figure_with_a_round_far_off_is_uncertain(rounds: tuple[float, ...]) -> None:
    """A fifth of the median is too far, in whichever direction."""
    assert Range.of(rounds).is_uncertain


def test_figure_whose_rounds_agree_is_certain() -> None:
    """They differ by a fifth of the median at most."""
    assert not Range.of([100, 80, 120]).is_uncertain


def test_ratio_is_taken_within_rounds(result: t.Callable[..., Result]) -> None:
    """What slows down a whole round cancels out."""
    entry = report.entry(result([10, 90, 20], [80, 720, 160], [5, 45, 10]))
    ours, theirs = entry.line(OURS), entry.line(THEIRS)

    assert ours
    assert theirs
    assert (8, 8, 8) == pytest.approx(dataclasses.astuple(ours.ratio(theirs)))


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
    case: Case, result: t.Callable[..., Result], rounds: list[float], word: str
) -> None:
    """Kept means that every round has kept it; the median alone says nothing."""
    entry = report.entry(result(rounds, [80, 80, 80], [5, 5, 5]))
    (verdict,) = goals.verdicts([case], [entry])

    assert word == verdict.word


def test_goal_may_be_another_case(case: Case, entry: report.Entry) -> None:
    """Ours is compared to ours; a signal took twice as long there."""
    slow = dataclasses.replace(entry, case="slow", lines=(Line(OURS, times=(20.0,)),))
    wish = dataclasses.replace(case, goal=Goal(0.9, "slow", "the slow one"))
    (verdict,) = goals.verdicts([wish], [entry, slow])

    assert 2 == pytest.approx(verdict.reached.median)


def test_goal_of_a_case_without_figures_has_no_verdict(case: Case) -> None:
    """What was skipped is neither kept nor missed."""
    assert [] == goals.verdicts([case], [report.skipped(case, "no server")])


def test_table_has_a_line_for_every_subject(entry: report.Entry) -> None:
    """The heading tells the case; each subject has a line of figures."""
    _, heading, ours, theirs, limit = table.as_text([entry]).splitlines()

    assert "errands to run (10 signals) [errands]" == heading
    assert ["100,000", "10.0", "10.0", "10.0", "5.00"] == ours.split()[1:6]
    assert theirs.endswith("x 8.00")
    assert limit.endswith("x 0.50")


def test_table_tells_what_failed(result: t.Callable[..., Result]) -> None:
    """A subject without figures has its reason instead."""
    broken = result([10], [], [5])
    broken.failures[broken.case.subjects[1]] = "no hatch"
    text = table.as_text([report.entry(broken)])

    assert f"{THEIRS}: failed: no hatch" in text


def test_table_tells_what_was_skipped(case: Case) -> None:
    """A case that misses its server says so."""
    text = table.as_text([report.skipped(case, "nothing answers for mariadb")])

    assert "errands to run: skipped, nothing answers for mariadb" in text


def test_markdown_tells_the_range_and_the_goal(
    case: Case, result: t.Callable[..., Result]
) -> None:
    """A row has the median, the slowest and the fastest round, and the verdict."""
    entry = report.entry(result([10, 10.5, 11], [80, 84, 88], [5, 5, 9]))
    verdicts = goals.verdicts([case], [entry])
    row = table.as_markdown([case], [entry], verdicts).splitlines()[-1]

    assert (
        "| errands to run | 95,200 (90,900-100,000) /s | 11,900 (11,400-12,500) /s"
        " | 200,000 (111,000-200,000) /s, uncertain"
        " | at least 5 times Flask-SignalBus; is 8.00: **kept** |"
    ) == row


def test_markdown_has_equally_many_cells_in_all_rows(
    case: Case, entry: report.Entry
) -> None:
    """Otherwise it is no table."""
    rows = table.as_markdown([case], [entry], []).splitlines()

    assert {len(table.COLUMNS) + 1} == {row.count("|") for row in rows}
