"""Failed signals are read in bounded time, and nobody waits for who reads them."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
from signalbus import MissingTableError
from signalbus_retry import park
from signalbus_retry.reading import count_failures
from signalbus_retry.reading import failure_page
from signalbus_retry.reading import find_failure
from signalbus_retry.reading import group_failures
from signalbus_retry.reading import key_text
from signalbus_retry.reading import parse_key

if t.TYPE_CHECKING:
    from conftest import Wire
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

pytestmark = pytest.mark.databases


@pytest.fixture
def failed_five(
    greeting: SignalModel, record: t.Any, wire: Wire, run: t.Any, bus: SignalBus
) -> SignalModel:
    """Let the signals 1 to 5 fail, and park the first."""
    texts = ["a", "b", "c", "d", "e"]
    for number, text in enumerate(texts, 1):
        wire.failures[text] = ValueError(f"order {number} is unknown")
    record(greeting, *texts)
    run()
    park(bus, greeting, [(1,)], "Ask Ada.")
    return greeting


def test_failures_are_counted_up_to_a_limit(
    bus: SignalBus, failed_five: SignalModel
) -> None:
    """The counts say whether they are complete."""
    all_five = count_failures(bus, failed_five)
    some = count_failures(bus, failed_five, limit=3)

    assert (4, 1, 5, True) == (
        *(all_five.waiting, all_five.parked, all_five.total),
        all_five.is_complete,
    )
    assert (3, False) == (some.total, some.is_complete)
    assert 1 == count_failures(bus, failed_five, parked=True).total
    assert 1 == count_failures(bus, failed_five, error="ORDER 4").total


def test_failures_come_in_pages(bus: SignalBus, failed_five: SignalModel) -> None:
    """In the order of the keys, as many as are asked for."""
    first = failure_page(bus, failed_five, count=2)
    last = failure_page(bus, failed_five, count=2, offset=4)

    assert ([(1,), (2,)], True) == ([x.key for x in first.failures], first.has_more)
    assert ([(5,)], False) == ([x.key for x in last.failures], last.has_more)


def test_a_page_leaves_out_what_was_deleted(
    bus: SignalBus, failed_five: SignalModel, execute: t.Any
) -> None:
    """The entry is still there until a flush has looked."""
    execute("DELETE FROM greeting WHERE id = 3")
    page = failure_page(bus, failed_five, parked=False)

    assert [(2,), (4,), (5,)] == [failure.key for failure in page.failures]


def test_some_failures_are_grouped(bus: SignalBus, failed_five: SignalModel) -> None:
    """By errors that are alike, the largest group first."""
    waiting, parked = group_failures(bus, failed_five)

    assert (4, 0, "ValueError") == (waiting.waiting, waiting.parked, waiting.error_type)
    assert 1 == parked.parked
    assert 3 == sum(group.count for group in group_failures(bus, failed_five, limit=3))


def test_one_failure_is_found(bus: SignalBus, failed_five: SignalModel) -> None:
    """By its key."""
    failure = find_failure(bus, failed_five, (2,))

    assert failure is not None
    assert "ValueError: order 2 is unknown" == failure.error
    assert find_failure(bus, failed_five, (77,)) is None


@pytest.mark.databases("sqlite")
def test_reading_keeps_nobody_from_writing(
    bus: SignalBus, failed_five: SignalModel, db: SQLAlchemy
) -> None:
    """Another transaction has locked the whole database meanwhile."""
    with db.engine.connect() as writer:
        writer.exec_driver_sql("BEGIN IMMEDIATE")
        assert 5 == count_failures(bus, failed_five).total
        assert 5 == len(failure_page(bus, failed_five).failures)
        assert 2 == len(group_failures(bus, failed_five))


def test_a_missing_table_is_named(
    bus: SignalBus, greeting: SignalModel, db: SQLAlchemy
) -> None:
    """The error says what to run."""
    db.metadata.tables["signalbus_failure"].drop(db.engine)

    with pytest.raises(MissingTableError, match="signalbus_failure is missing"):
        count_failures(bus, greeting)


def test_keys_are_text_and_back(bus: SignalBus, new_model: t.Any) -> None:
    """A value, or a JSON array."""
    one = new_model("One")
    two = new_model("Two", area=sa.Column(sa.String(9), primary_key=True))

    assert ("7", (7,)) == (key_text(bus, one, (7,)), parse_key(bus, one, "7"))
    text = key_text(bus, two, (7, "a/b"))
    assert ('[7, "a/b"]', (7, "a/b")) == (text, parse_key(bus, two, text))
    with pytest.raises(ValueError, match="primary key of One"):
        parse_key(bus, one, "seven")
