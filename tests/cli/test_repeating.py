"""What a relay says of failures that go on: each once, and again now and then."""

from __future__ import annotations

import signal
import typing as t

import pytest
from signalbus import hookimpl
from signalbus_cli._failure_tracker import REMINDER_INTERVAL
from signalbus_cli._failure_tracker import FailureTracker

if t.TYPE_CHECKING:
    from conftest import Office
    from conftest import Outcome

Flask: t.TypeAlias = "t.Callable[..., Outcome]"

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
        "Letter(id=1) was not sent and waits, next attempt in 4 s: ValueError: gone",
        "Letter(id=2) was not sent and waits, next attempt in 5 min: ValueError: gone",
    ),
    (
        "Letter: 3 signals were not sent; 1 waits, next in 4 s; 2 parked: ValueError",
        "Letter: 99 signals were not sent; 9 wait, next in 2 h; 90 parked: ValueError",
    ),
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
    assert [[DOWN], [], []] == [tracker.add([DOWN]) for _ in range(3)]


@pytest.mark.parametrize(("first", "second"), ALIKE)
def test_failures_that_differ_by_their_signals_are_alike(
    tracker: FailureTracker, first: str, second: str
) -> None:
    """Counts, keys and other values make no new failure."""
    tracker.add([first])

    assert [] == tracker.add([second])


@pytest.mark.parametrize("other", OTHERS)
def test_another_failure_is_told(tracker: FailureTracker, other: str) -> None:
    """Another broker, model or reason, and only it."""
    tracker.add([DOWN, POISON])

    assert [other] == tracker.add([DOWN, POISON, other])


def test_a_failure_that_comes_back_is_told_again(tracker: FailureTracker) -> None:
    """A run without it has ended it."""
    tracker.add([DOWN, POISON])
    tracker.add([POISON])

    assert [DOWN] == tracker.add([DOWN, POISON])


def test_a_failure_that_stays_is_told_again_with_a_count(
    tracker: FailureTracker, clock: Clock
) -> None:
    """Whoever looks at the end of the output only shall see it."""
    for _ in range(1000):
        tracker.add([DOWN])
    clock.now += REMINDER_INTERVAL

    assert [f"{DOWN} (as in the 1,000 runs before)"] == tracker.add([DOWN])
    assert [] == tracker.add([DOWN])

    clock.now += REMINDER_INTERVAL

    assert [f"{DOWN} (as in the 1,002 runs before)"] == tracker.add([DOWN])


def test_the_end_of_all_failures_is_told_once(tracker: FailureTracker) -> None:
    """With the number of runs that failed, whatever failed in them."""
    assert 0 == tracker.recover()
    for line in (DOWN, POISON, DOWN):
        tracker.add([line])

    assert [3, 0] == [tracker.recover(), tracker.recover()]


def test_a_relay_tells_what_is_new_and_that_it_is_over(
    office: Office, flask: Flask
) -> None:
    """One line when it fails, one when it does not, and none in between."""
    tries = []

    def fail_for_a_while(text: str) -> None:
        tries.append(text)
        if len(tries) <= 20:
            raise ValueError(f"try {len(tries)}")
        office.on_sending = lambda text: _stop()

    class Sequel:
        @hookimpl
        def signalbus_burst_sent(self) -> None:
            """Record what the next run is for."""
            if office.sent == ["a"]:
                office.record(office.Letter, "b")

    office.bus.plugin_manager.register(Sequel())
    office.record(office.Letter, "a")
    office.on_sending = fail_for_a_while

    outcome = flask("flush", "--repeat=0.001")

    assert 0 == outcome.status
    assert [
        "Error: Letter(id=1) was not sent and stays pending: ValueError: try 1",
        "Recovered after 20 failed runs.",
    ] == outcome.err.splitlines()


def test_a_run_that_is_stopped_proves_no_recovery(office: Office, flask: Flask) -> None:
    """It may have tried nothing."""
    tries = []

    def fail_then_stop(text: str) -> None:
        tries.append(text)
        if len(tries) == 1:
            raise ValueError(text)
        _stop()

    office.record(office.Letter, "a")
    office.on_sending = fail_then_stop

    assert "Recovered" not in flask("flushmany", "--repeat=0.001").err


def test_a_relay_that_fails_to_the_end_exits_with_1(
    office: Office, flask: Flask
) -> None:
    """What is not told again counts all the same."""
    tries = []

    def fail(text: str) -> None:
        tries.append(text)
        if len(tries) == 20:
            _stop()
        raise ValueError(text)

    office.record(office.Letter, "a")
    office.on_sending = fail

    outcome = flask("flushmany", "--repeat=0.001")

    assert (1, 1) == (outcome.status, outcome.err.count("\n"))


def _stop() -> None:
    signal.raise_signal(signal.SIGTERM)
