"""A failure that persists over many runs is reported once, and again now and then."""

from __future__ import annotations

import pytest
from signalbus.exceptions import ReportLine
from signalbus.failure_tracker import REMINDER_INTERVAL
from signalbus.failure_tracker import FailureTracker
from signalbus.failure_tracker import Reason
from signalbus.failure_tracker import reasons_of

POISON = "Letter(id=13) was not sent and stays pending: ValueError: poison"
DOWN = "The broker 'post' is unavailable, the signals of Letter stay pending: gone"

#: What is the same failure, though it is not the same text.
ALIKE = [
    (DOWN, f"{DOWN} (first: Letter(id=7), Letter(id=8))"),
    (f"{DOWN} at 127.0.0.1:40312", f"{DOWN} at 127.0.0.1:40318"),
    (POISON, POISON.replace("13", "14")),
    (
        "Letter: 2 signals were not sent and stay pending: ValueError: 'a'",
        "Letter: 3,000 signals were not sent and stay pending: ValueError: 'b'",
    ),
    (
        "Letter: 3 signals were not sent; 1 waits, next in 4 s; 2 parked: ValueError",
        "Letter: 99 signals were not sent; 9 wait, next in 2 h; 90 parked: ValueError",
    ),
]

#: A line whose signals all wait or are parked, and one about other signals, too.
WAITS = "Letter(id=13) was not sent and waits, next attempt in 4 s: ValueError: poison"
MIXED = "Letter: 3,000 signals were not sent{}: ValueError: poison"

#: What else is the same failure: only what becomes of the signals differs.
ALIKE += [
    (MIXED.format("; 2,950 wait, next in 4 s; 50 parked"), MIXED.format(settled))
    for settled in ("", "; 1 waits, next in 2 min", "; 2,999 parked")
]

#: What is another one.
OTHERS = [
    DOWN.replace("post", "pigeons"),
    DOWN.replace("gone", "timed out"),
    DOWN.replace("Letter", "Letter, Parcel"),
    POISON.replace("Letter", "Parcel"),
    POISON.replace("poison", "venom"),
]


class Clock:
    """A clock that stands still unless it is put forward."""

    now = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Give a clock."""
    return Clock()


@pytest.fixture
def tracker(clock: Clock) -> FailureTracker:
    """Give the memory of a relay, which goes by the clock."""
    return FailureTracker(clock)


def test_a_failure_that_goes_on_is_told_once(tracker: FailureTracker) -> None:
    """However many runs it lasts."""
    assert [[DOWN], [], []] == [_add(tracker, DOWN) for _ in range(3)]


@pytest.mark.parametrize(("first", "second"), ALIKE)
def test_failures_that_differ_by_their_signals_are_alike(
    tracker: FailureTracker, first: str, second: str
) -> None:
    """Counts, keys and other values make no new failure."""
    _add(tracker, first)

    assert [] == _add(tracker, second)


@pytest.mark.parametrize("other", OTHERS)
def test_another_failure_is_told(tracker: FailureTracker, other: str) -> None:
    """Another broker, model or reason, and only it."""
    _add(tracker, DOWN, POISON)

    assert [other] == _add(tracker, DOWN, POISON, other)


def test_a_failure_that_comes_back_is_told_again(tracker: FailureTracker) -> None:
    """A run without it has ended it."""
    _add(tracker, DOWN, POISON)
    _add(tracker, POISON)

    assert [DOWN] == _add(tracker, DOWN, POISON)


def test_a_failure_that_stays_is_told_again_with_a_count(
    tracker: FailureTracker, clock: Clock
) -> None:
    """Whoever looks at the end of the output only shall see it."""
    for _ in range(1000):
        _add(tracker, DOWN)
    clock.now += REMINDER_INTERVAL

    assert [f"{DOWN} (as in the 1,000 runs before)"] == _add(tracker, DOWN)
    assert [] == _add(tracker, DOWN)

    clock.now += REMINDER_INTERVAL

    assert [f"{DOWN} (as in the 1,002 runs before)"] == _add(tracker, DOWN)


def test_the_end_of_all_failures_is_told_once(tracker: FailureTracker) -> None:
    """With the number of runs that failed, whatever failed in them."""
    assert 0 == tracker.recover()
    for line in (DOWN, POISON, DOWN):
        _add(tracker, line)

    assert [3, 0] == [tracker.recover(), tracker.recover()]


def test_a_settled_reason_is_told_in_every_run(tracker: FailureTracker) -> None:
    """It occurs only if something was tried, and the log has it, too."""
    for _ in range(3):
        lines = tracker.add([Reason(DOWN), Reason(WAITS, is_settled=True)])

    assert [WAITS] == lines


def test_a_run_that_settled_everything_is_no_failed_run(
    tracker: FailureTracker,
) -> None:
    """There is nothing to recover from; a run that also left something did fail."""
    settled = Reason(WAITS, is_settled=True)
    tracker.add([settled])

    assert 0 == tracker.recover()

    for reasons in ([settled, Reason(DOWN)], [settled], [settled]):
        tracker.add(reasons)

    assert [1, 0] == [tracker.recover(), tracker.recover()]


def test_notes_are_read_with_what_they_settle() -> None:
    """The escaped text of a report's line is as settled as the line."""
    error = ValueError("poison")
    error.__notes__ = [ReportLine(f"{WAITS}\n", is_settled=True), "Seen by a plugin."]

    assert [
        Reason(f"{WAITS}\\n", is_settled=True),
        Reason("Seen by a plugin.", is_settled=True),
    ] == reasons_of(error)


def test_notes_of_others_settle_nothing() -> None:
    """Where the core has no line, there is no word about the signals."""
    error = ValueError("poison")
    error.__notes__ = ["Sealed: ValueError: poison"]

    assert [Reason("Sealed: ValueError: poison")] == reasons_of(error)


def test_reasons_tell_what_is_down() -> None:
    """A broker or a database that is down as a whole is not the signals' failure."""
    error = ValueError("gone")
    error.__notes__ = [
        ReportLine("ValueError: gone", about="broker"),
        ReportLine(POISON),
    ]

    assert ["broker", "signals"] == [reason.about for reason in reasons_of(error)]


def _add(tracker: FailureTracker, *lines: str) -> list[str]:
    """Add a run that failed for these reasons, none of them settled."""
    return tracker.add([Reason(line) for line in lines])
