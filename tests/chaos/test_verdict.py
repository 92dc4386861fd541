"""The verdict counts right: each promise that is broken is seen."""

from __future__ import annotations

import typing as t

import pytest

from chaos.ledger import Arrival
from chaos.verdict import Fault
from chaos.verdict import Verdict
from chaos.verdict import judge

if t.TYPE_CHECKING:
    from chaos.books import Books

MakeBooks: t.TypeAlias = "t.Callable[..., Books]"
MakeArrivals: t.TypeAlias = "t.Callable[..., list[Arrival]]"


#: What all that is sent at 0 may have met.
FAULT = Fault(began=0.0, ended=1.0, resumed=1.0, caught_up=1.0)


def _judge(
    books: Books,
    arrivals: list[Arrival],
    allowed: int = 0,
    faults: t.Sequence[Fault] = (FAULT,),
) -> Verdict:
    return judge(books, arrivals, allowed=allowed, faults=faults)


def test_all_is_well_when_each_arrives_once(
    books: MakeBooks, arrivals: MakeArrivals
) -> None:
    """In any order, for those that have no key."""
    verdict = _judge(books("a", "b"), arrivals("b", "a"))

    assert [] == verdict.failures()
    assert (2, 2) == (verdict.recorded, verdict.delivered)


def test_a_signal_that_is_nowhere_is_lost(
    books: MakeBooks, arrivals: MakeArrivals
) -> None:
    """It was committed, did not arrive, and its row is gone."""
    assert ["1 lost"] == _judge(books("a", "b"), arrivals("a")).failures()


def test_a_signal_that_is_left_is_not_lost(
    books: MakeBooks, arrivals: MakeArrivals
) -> None:
    """But somebody should have sent it by now."""
    verdict = _judge(books("a", "b", pending={"b"}), arrivals("a"))

    assert ["1 pending at the end"] == verdict.failures()


def test_poison_may_be_parked(books: MakeBooks, arrivals: MakeArrivals) -> None:
    """It waits for a person, as promised."""
    parked = {"b.poison"}
    verdict = _judge(books("a", "b.poison", parked=parked), arrivals("a"))

    assert [] == verdict.failures()
    assert 1 == verdict.parked


def test_nothing_else_may_be_parked(books: MakeBooks, arrivals: MakeArrivals) -> None:
    """A fault must not use up the attempts of a good signal."""
    verdict = _judge(books("a", "b", parked={"b"}), arrivals("a"))

    assert ["1 pending at the end"] == verdict.failures()


def test_a_signal_that_was_never_committed_is_a_phantom(
    books: MakeBooks, arrivals: MakeArrivals
) -> None:
    """Its transaction, or its savepoint, was rolled back."""
    assert ["1 phantom"] == _judge(books("a"), arrivals("a", "ghost")).failures()


def test_a_commit_that_the_database_forgot_is_seen(
    books: MakeBooks, arrivals: MakeArrivals
) -> None:
    """Or else what is lost with its entry would not be missed."""
    verdict = _judge(books("a", confirmed={"a", "b"}), arrivals("a"))

    assert ["1 forgotten"] == verdict.failures()


@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_duplicates_are_counted_against_what_is_allowed(
    books: MakeBooks, arrivals: MakeArrivals, allowed: int
) -> None:
    """Each arrival after the first is one."""
    verdict = _judge(books("a"), arrivals("a", "a", "a"), allowed)

    assert 2 == verdict.duplicates
    assert (allowed < 2) == bool(verdict.failures())


@pytest.mark.parametrize(
    ("first", "second", "is_explained"),
    [
        (99, 100, True),
        (100, 120, True),
        (114, 130, True),
        (98, 99, False),
        (116, 117, False),
    ],
)
def test_a_duplicate_needs_a_fault_in_between(
    books: MakeBooks, first: float, second: float, *, is_explained: bool
) -> None:
    """Or one that had just ended: a sender may still wait for what was cut."""
    arrivals = [Arrival("Posted", "a", sent, sent) for sent in (first, second)]
    faults = [Fault(began=100.0, ended=110.0, resumed=0.0, caught_up=0.0)]
    verdict = _judge(books("a"), arrivals, allowed=1, faults=faults)

    assert is_explained != bool(verdict.failures())


def test_a_message_that_is_sent_again_as_it_is_has_its_first_time(
    books: MakeBooks,
) -> None:
    """Over a new connection, for example: what came of it came behind the fault."""
    arrivals = [Arrival("Posted", "a", 99.0, arrived) for arrived in (99.5, 101.0)]
    faults = [Fault(began=100.0, ended=100.0, resumed=0.0, caught_up=0.0)]
    verdict = _judge(books("a"), arrivals, allowed=1, faults=faults)

    assert [] == verdict.failures()


def test_first_arrivals_of_a_key_must_be_in_order(
    books: MakeBooks, arrivals: MakeArrivals
) -> None:
    """Another key, and signals without one, may come in between."""
    in_order = _judge(books("x", ordered="abc"), arrivals("a", "x", "b", "c"))
    disordered = _judge(books("x", ordered="abc"), arrivals("a", "c", "x", "b"))

    assert [] == in_order.failures()
    assert ["1 disordered"] == disordered.failures()


def test_an_old_signal_may_come_again(books: MakeBooks, arrivals: MakeArrivals) -> None:
    """Only first arrivals have an order."""
    verdict = _judge(books(ordered="ab"), arrivals("a", "b", "a"), allowed=1)

    assert [] == verdict.failures()


def test_an_entry_of_a_failure_without_a_signal_is_an_orphan(
    books: MakeBooks, arrivals: MakeArrivals
) -> None:
    """Both change in one transaction."""
    assert ["1 orphans"] == _judge(books("a", orphans=1), arrivals("a")).failures()


def test_flow_must_resume_soon(books: MakeBooks, arrivals: MakeArrivals) -> None:
    """The slowest counts."""
    verdict = _judge(
        books("a"),
        arrivals("a"),
        faults=[Fault(0.0, 1.0, seconds, 0.0) for seconds in (0.1, 7.2, 1.0)],
    )

    assert ["flow resumed only after 7.2 s"] == verdict.failures()


def test_a_busy_machine_may_take_longer(
    books: MakeBooks, arrivals: MakeArrivals
) -> None:
    """Limits of time are multiplied; what is counted has none."""
    faults = [Fault(0.0, 1.0, 7.2, 20.0)]
    verdict = _judge(books("a", "b"), arrivals("a"), faults=faults)

    assert 3 == len(verdict.failures())
    assert ["1 lost"] == verdict.failures(patience=2.0)


def test_the_backlog_must_be_sent_soon(
    books: MakeBooks, arrivals: MakeArrivals
) -> None:
    """What waited during a fault is not left to chance."""
    verdict = _judge(books("a"), arrivals("a"), faults=[Fault(0.0, 1.0, 1.0, 20.0)])

    assert ["the backlog was sent only after 20.0 s"] == verdict.failures()


def test_a_scenario_in_which_nothing_happens_proves_nothing(
    books: MakeBooks, arrivals: MakeArrivals
) -> None:
    """So it fails."""
    assert ["nothing was delivered"] == _judge(books(), arrivals()).failures()
