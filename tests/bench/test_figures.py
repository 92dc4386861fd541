"""Medians, ratios and goals: what the benchmark makes of its measurements."""

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

if t.TYPE_CHECKING:
    from benchmarks.cases import Case
    from benchmarks.measure import Result


def test_time_is_the_median_of_the_rounds(result: t.Callable[..., Result]) -> None:
    """One slow round does not change it."""
    ours = report.entry(result([10, 12, 99], [1], [1])).line(OURS)

    assert ours
    assert 12 == pytest.approx(ours.time)


def test_spread_is_that_of_the_round_farthest_off(
    result: t.Callable[..., Result],
) -> None:
    """It is a share of the median, in whichever direction."""
    ours = report.entry(result([10, 4, 11], [1], [1])).line(OURS)

    assert ours
    assert 0.6 == pytest.approx(ours.spread)


def test_ratio_is_taken_within_rounds(result: t.Callable[..., Result]) -> None:
    """What slows down a whole round cancels out."""
    ours = report.entry(result([10, 90, 20], [80, 720, 160], [5, 45, 10])).line(OURS)

    assert ours
    assert {THEIRS: 8, "limit": 0.5} == pytest.approx(dict(ours.ratios))


def test_nothing_is_compared_to_itself(entry: report.Entry) -> None:
    """The limit has no share of the limit."""
    assert [{"limit", THEIRS}, {"limit"}, {THEIRS}] == [
        set(line.ratios) for line in entry.lines
    ]


def test_goal_is_kept_when_it_is_reached(case: Case, entry: report.Entry) -> None:
    """Eight times as fast is more than five times."""
    (verdict,) = goals.verdicts([case], [entry])

    assert (True, pytest.approx(8)) == (verdict.kept, verdict.reached)


def test_goal_is_missed_when_it_is_not_reached(case: Case, entry: report.Entry) -> None:
    """Eight times as fast is not nine times."""
    harder = dataclasses.replace(case, goals=(Goal(9, THEIRS),))
    (verdict,) = goals.verdicts([harder], [entry])

    assert not verdict.kept


def test_goal_may_be_another_case(case: Case, entry: report.Entry) -> None:
    """Ours is compared to ours; a signal took twice as long there."""
    slow = dataclasses.replace(
        entry, case="slow", lines=(report.Line(OURS, time=20.0),)
    )
    wish = dataclasses.replace(case, goals=(Goal(0.9, "slow"),))
    (verdict,) = goals.verdicts([wish], [entry, slow])

    assert 2 == pytest.approx(verdict.reached)


def test_goal_of_a_case_without_figures_has_no_verdict(case: Case) -> None:
    """What was skipped is neither kept nor missed."""
    assert [] == goals.verdicts([case], [report.skipped(case, "no server")])


def test_table_has_a_line_for_every_subject(entry: report.Entry) -> None:
    """The heading tells the case; each subject has a line of figures."""
    head, heading, ours, theirs, limit = table.as_text([entry]).splitlines()

    assert "errands to run (10 signals) [errands]" == heading
    assert ["100,000", "10.0", "0%", "5.00", "0.50", "8.00"] == ours.split()[1:7]
    assert len(head) == len(ours) == len(theirs) == len(limit)


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


def test_markdown_has_equally_many_cells_in_all_rows(entry: report.Entry) -> None:
    """Otherwise it is no table."""
    rows = table.as_markdown([entry]).splitlines()

    assert {len(table.HEAD) + 2} == {row.count("|") for row in rows}
