"""The ordering keys of the signals that are measured."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa

from benchmarks import machine
from benchmarks.cases import ordering
from benchmarks.runner import measure
from benchmarks.spec import OURS
from benchmarks.spec import Case

pytestmark = pytest.mark.usefixtures("postgresql")  # skips where there is no server

COUNT = sa.text("SELECT account, count(*) FROM signals GROUP BY account")


@pytest.fixture
def shares() -> t.Callable[[str, int], dict[int, int]]:
    """Count the signals of each key with ``shares(expression, size)``."""

    def count(expression: str, size: int) -> dict[int, int]:
        with machine.new_database("postgresql") as database:
            database.add_ordering_key(expression)
            database.fill(size)
            with database.engine.connect() as connection:
                return {row[0]: row[1] for row in connection.execute(COUNT)}

    return count


def test_keys_are_equally_likely(shares: t.Callable[..., dict[int, int]]) -> None:
    """Chance is fair, and the same in every round."""
    counts = shares(ordering.EQUALLY.format(10), 2000)

    assert set(range(10)) == set(counts)
    assert all(150 < count < 250 for count in counts.values())


def test_few_keys_have_most_signals(shares: t.Callable[..., dict[int, int]]) -> None:
    """By Zipf's law, the first of 1,000 keys has a tenth of them."""
    counts = shares(ordering.ZIPF.format(1000), 2000)

    assert 1 == max(counts, key=counts.__getitem__)
    assert 150 < counts[1] < 250
    assert set(counts) <= set(range(1, 1000))


@pytest.mark.parametrize("subject", [ordering.KEYED, ordering.PLAIN])
def test_signals_with_a_key_are_all_flushed(subject: t.Any) -> None:
    """With the order and without, by several processes."""
    key = ordering.EQUALLY.format(3)
    case = Case(
        "tiny", "few", [subject], size=60, burst=7, ordering_key=key, processes=2
    )
    figures = measure(case, 1)[subject.name]

    assert "" == figures["failure"]
    assert 1 == len(figures["µs"])


def test_name_of_the_goal_is_that_of_a_subject_or_a_case() -> None:
    """A goal that compares with nothing would have no verdict."""
    titles = {case.title for case in ordering.CASES}
    goals = [(case, case.goal) for case in ordering.CASES if case.goal]

    assert 3 == len(goals)
    for case, goal in goals:
        names = {subject.name for subject in case.subjects}
        assert getattr(goal, "than", None) in names | titles
        assert OURS in names
