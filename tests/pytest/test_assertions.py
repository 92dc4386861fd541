"""What assertions accept, and what they say when they fail."""

from __future__ import annotations

import textwrap
import typing as t
from unittest import mock

import pytest

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus.typing import SignalModel
    from signalbus_pytest import RecordedSignals

Commit: t.TypeAlias = "t.Callable[..., None]"


def says(failure: pytest.ExceptionInfo[AssertionError], text: str) -> bool:
    """Compare what an assertion says, line by line."""
    expected = textwrap.dedent(text).strip("\n")
    if str(failure.value) != expected:
        pytest.fail(f"It says:\n{failure.value}", pytrace=False)
    return True


@pytest.mark.parametrize(
    "expected",
    [
        {},
        {"cents": 995},
        {"cents": mock.ANY},
        {"cents": pytest.approx(995.1, abs=1)},
        {"cents": int},
        {"cents": lambda cents: cents > 900},
        {"cents": 995, "note": dict},
        {"note": {"a": [1]}},
    ],
)
def test_columns_match_values_types_and_conditions(
    commit: Commit,
    recorded_signals: RecordedSignals,
    order_placed: SignalModel,
    expected: dict[str, t.Any],
) -> None:
    """Whatever equals, is of, or satisfies; columns that are not named are free."""
    commit(order_placed(order_id=7, cents=995, note={"a": [1]}))
    commit(order_placed(order_id=8, cents=1, note=None))

    signal = recorded_signals.assert_recorded(order_placed, order_id=7, **expected)
    assert 7 == signal.order_id
    with pytest.raises(AssertionError):
        recorded_signals.assert_not_recorded(order_placed, **expected)


def test_exactly_one_signal_is_expected(
    commit: Commit, recorded_signals: RecordedSignals, order_placed: SignalModel
) -> None:
    """A duplicate is a failure, unless it is counted on."""
    commit(order_placed(order_id=7, cents=995), order_placed(order_id=8, cents=995))

    both = recorded_signals.assert_recorded(order_placed, cents=995, count=2)
    assert [7, 8] == [signal.order_id for signal in both]
    assert [] == recorded_signals.assert_recorded(order_placed, cents=1, count=0)
    with pytest.raises(AssertionError) as failure:
        recorded_signals.assert_recorded(order_placed, cents=995)
    assert says(
        failure,
        """
        2 OrderPlaced were recorded with cents=995, not 1:
          OrderPlaced(order_id=7, cents=995, note=None)
          OrderPlaced(order_id=8, cents=995, note=None)
        """,
    )


def test_columns_may_have_the_names_of_arguments(
    commit: Commit, recorded_signals: RecordedSignals, order_paid: SignalModel
) -> None:
    """Those are given in a mapping."""
    commit(order_paid(order_id=7, cents=995, count=3))

    recorded_signals.assert_recorded(order_paid, {"count": 3}, order_id=7)
    recorded_signals.assert_not_recorded(order_paid, {"count": 2}, order_id=7)
    assert [] == recorded_signals(order_paid, {"count": 2})


def test_the_closest_signals_are_shown(
    commit: Commit,
    recorded_signals: RecordedSignals,
    order_placed: SignalModel,
    order_paid: SignalModel,
) -> None:
    """Which columns differ, those with the fewest first; then the other models."""
    commit(order_placed(order_id=1, cents=1), order_placed(order_id=8, cents=995))
    commit(*[order_placed(order_id=number, cents=2) for number in (3, 4)])
    commit(order_paid(order_id=8, cents=1))

    with pytest.raises(AssertionError) as failure:
        recorded_signals.assert_recorded(order_placed, order_id=7, cents=995)
    assert says(
        failure,
        """
        No OrderPlaced was recorded with order_id=7, cents=995.

        These were recorded, the closest first:
          OrderPlaced(order_id=8, cents=995, note=None)
            order_id: expected 7, recorded 8
          OrderPlaced(order_id=1, cents=1, note=None)
            order_id: expected 7, recorded 1
            cents: expected 995, recorded 1
          OrderPlaced(order_id=3, cents=2, note=None)
            order_id: expected 7, recorded 3
            cents: expected 995, recorded 2
          … and 1 more

        Of other models, there were recorded: 1 OrderPaid.
        """,
    )


def test_long_values_are_compared_line_by_line(
    commit: Commit, recorded_signals: RecordedSignals, order_placed: SignalModel
) -> None:
    """Where two documents differ is found at a glance."""
    note = {"to": "ada@example.com", "lines": ["a" * 30, "b" * 30], "cents": 5}
    commit(order_placed(order_id=7, cents=995, note=note))

    with pytest.raises(AssertionError) as failure:
        recorded_signals.assert_recorded(order_placed, note={**note, "cents": 6})
    assert says(
        failure,
        """
        No OrderPlaced was recorded with note={'to': 'ada@example.com', 'lines': ['aaaaaaaaaaaaaaaaaaaaaa….

        These were recorded, the closest first:
          OrderPlaced(order_id=7, cents=995, note={'to': 'ada@example.com', 'lines': ['aaaaaaaaaaaaaaaaaaaaaa…)
            note: expected (-), recorded (+)
              - {'cents': 6,
              ?           ^
              + {'cents': 5,
              ?           ^
                 'lines': ['aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
                           'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'],
                 'to': 'ada@example.com'}
        """,  # noqa: E501 what it says
    )


def test_conditions_are_shown_by_their_names(
    commit: Commit, recorded_signals: RecordedSignals, order_placed: SignalModel
) -> None:
    """A function that cannot take the value says so; it is a difference like others."""

    def is_long(note: str) -> bool:
        return len(note) > 5

    commit(order_placed(order_id=7, cents=995))

    with pytest.raises(AssertionError) as failure:
        recorded_signals.assert_recorded(order_placed, cents=str, note=is_long)
    assert says(
        failure,
        """
        No OrderPlaced was recorded with cents=str, note=is_long(…).

        These were recorded, the closest first:
          OrderPlaced(order_id=7, cents=995, note=None)
            cents: expected str, recorded 995
            note: expected is_long(…), recorded None, for which that raised TypeError("object of type 'NoneType' has no len()")
        """,  # noqa: E501 what it says
    )


def test_what_was_lost_is_shown(
    db: SQLAlchemy,
    commit: Commit,
    recorded_signals: RecordedSignals,
    order_placed: SignalModel,
) -> None:
    """Why a signal that matches was not recorded."""
    db.session.add(order_placed(order_id=7, cents=1))
    db.session.flush()
    db.session.rollback()
    db.session.add(order_placed(order_id=8, cents=1))
    db.session.remove()
    db.session.add(order_placed(order_id=7, cents=2))

    with pytest.raises(AssertionError) as failure:
        recorded_signals.assert_recorded(order_placed, order_id=7)
    assert says(
        failure,
        """
        No OrderPlaced was recorded with order_id=7.

        This one matches, but was not committed (see recorded_signals.uncommitted):
          OrderPlaced(order_id=7, cents=2)

        This one matches, but was rolled back:
          OrderPlaced(order_id=7, cents=1, note=None)

        1 OrderPlaced was given up by its session before a commit.
        """,
    )


def test_what_was_deleted_is_shown(
    db: SQLAlchemy, recorded_signals: RecordedSignals, order_placed: SignalModel
) -> None:
    """So is what a transaction has inserted, and deleted again."""
    signal = order_placed(order_id=7, cents=1)
    db.session.add(signal)
    db.session.flush()
    db.session.delete(signal)
    db.session.commit()

    with pytest.raises(AssertionError, match="was deleted before the commit:"):
        recorded_signals.assert_recorded(order_placed, order_id=7)


def test_matching_signals_of_another_model_are_shown(
    commit: Commit,
    recorded_signals: RecordedSignals,
    order_placed: SignalModel,
    order_paid: SignalModel,
) -> None:
    """Perhaps that model was meant."""
    commit(order_paid(order_id=7, cents=995))

    with pytest.raises(AssertionError) as failure:
        recorded_signals.assert_recorded(order_placed, order_id=7)
    assert says(
        failure,
        """
        No OrderPlaced was recorded with order_id=7.

        Of another model, these match:
          OrderPaid(order_id=7, cents=995, count=1)
        """,
    )


def test_nothing_at_all_is_shown(
    recorded_signals: RecordedSignals, order_placed: SignalModel
) -> None:
    """Then it may be the fault of the test."""
    with pytest.raises(AssertionError) as failure:
        recorded_signals.assert_recorded(order_placed, order_id=7)
    assert says(
        failure,
        """
        No OrderPlaced was recorded with order_id=7.

        Nothing was recorded. What was recorded before the fixture was set up
        is not seen, nor what was inserted past the ORM.
        """,
    )


def test_too_few_are_shown_with_the_others(
    commit: Commit, recorded_signals: RecordedSignals, order_placed: SignalModel
) -> None:
    """What matches, and what nearly does."""
    commit(order_placed(order_id=7, cents=995), order_placed(order_id=8, cents=1))

    with pytest.raises(AssertionError) as failure:
        recorded_signals.assert_recorded(order_placed, cents=995, count=2)
    assert says(
        failure,
        """
        1 OrderPlaced was recorded with cents=995, not 2.

        These match:
          OrderPlaced(order_id=7, cents=995, note=None)

        These were recorded, the closest first:
          OrderPlaced(order_id=8, cents=1, note=None)
            cents: expected 995, recorded 1
        """,
    )


def test_what_should_not_be_is_shown(
    commit: Commit, recorded_signals: RecordedSignals, order_placed: SignalModel
) -> None:
    """Of a model, or of all."""
    commit(order_placed(order_id=7, cents=995))

    with pytest.raises(AssertionError) as failure:
        recorded_signals.assert_not_recorded(order_placed, cents=995)
    assert says(
        failure,
        """
        1 OrderPlaced was recorded with cents=995:
          OrderPlaced(order_id=7, cents=995, note=None)
        """,
    )
    with pytest.raises(AssertionError) as failure:
        recorded_signals.assert_not_recorded()
    assert says(
        failure,
        """
        Signals were committed:
          OrderPlaced(order_id=7, cents=995, note=None)
        """,
    )


def test_uncommitted_signals_have_the_same_assertions(
    db: SQLAlchemy,
    commit: Commit,
    recorded_signals: RecordedSignals,
    order_placed: SignalModel,
) -> None:
    """And the opposite advice."""
    commit(order_placed(order_id=7, cents=995))
    db.session.add(order_placed(order_id=8, cents=1))

    uncommitted = recorded_signals.uncommitted
    assert 1 == uncommitted.assert_recorded(order_placed).cents
    with pytest.raises(AssertionError) as failure:
        uncommitted.assert_recorded(order_placed, order_id=7)
    assert says(
        failure,
        """
        No OrderPlaced was added with order_id=7.

        These were added, the closest first:
          OrderPlaced(order_id=8, cents=1)
            order_id: expected 7, recorded 8

        This one matches, but was committed (see recorded_signals itself):
          OrderPlaced(order_id=7, cents=995, note=None)
        """,
    )


@pytest.mark.parametrize(
    ("column", "remedy"), [("oder_id", "Did you mean 'order_id'?"), ("x", "It has")]
)
def test_columns_that_do_not_exist_are_errors(
    recorded_signals: RecordedSignals,
    order_placed: SignalModel,
    column: str,
    remedy: str,
) -> None:
    """Or else ``assert_not_recorded`` would always pass."""
    with pytest.raises(TypeError, match=f"has no column '{column}'.") as error:
        recorded_signals.assert_not_recorded(order_placed, {column: 1})
    assert remedy in str(error.value)
