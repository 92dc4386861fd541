"""When a relay looks again: soon after something was sent, rarely when it is idle."""

from __future__ import annotations

import pytest
from signalbus_relay._polling import Polling


class Clock:
    """A clock that stands still unless it is put forward."""

    now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Give a clock."""
    return Clock()


@pytest.fixture
def polling(clock: Clock) -> Polling:
    """Give the schedule of a model, with the largest jitter, every second at most."""
    return Polling(1.0, clock, lambda least, most: most)


def _intervals(polling: Polling, clock: Clock, count: int) -> list[float]:
    """Look *count* times for nothing, and return the intervals after each look."""
    intervals = []
    for _ in range(count):
        polling.found_nothing(is_announced=False)
        intervals.append(round(polling.due_in, 3))
        clock.now += polling.due_in
    return intervals


def test_the_first_look_is_at_once(polling: Polling) -> None:
    """A relay that starts sends what is pending."""
    assert 0 == polling.due_in


def test_the_interval_doubles_while_there_is_nothing(
    polling: Polling, clock: Clock
) -> None:
    """From 50 ms up to the longest interval, and no further."""
    assert [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0] == _intervals(polling, clock, 7)


def test_the_interval_is_short_again_after_something_was_sent(
    polling: Polling, clock: Clock
) -> None:
    """More may follow."""
    _intervals(polling, clock, 7)
    polling.sent(is_announced=False)

    assert 0.05 == pytest.approx(polling.due_in)

    clock.now += 0.05

    assert [0.1, 0.2] == _intervals(polling, clock, 2)


def test_announced_signals_need_no_short_intervals(polling: Polling) -> None:
    """The interval is the longest one, plus up to a fifth of it, from the first on."""
    polling.sent(is_announced=True)

    assert 1.2 == pytest.approx(polling.due_in)

    polling.found_nothing(is_announced=True)

    assert 1.2 == pytest.approx(polling.due_in)


@pytest.mark.parametrize("is_announced", [True, False])
def test_a_run_in_vain_is_followed_by_ten_times_its_duration(
    polling: Polling, *, is_announced: bool
) -> None:
    """What is held back must not keep the database busy."""
    polling.sent_nothing(3.0, is_announced=is_announced)

    assert 30 == pytest.approx(polling.due_in)


def test_a_short_run_in_vain_does_not_shorten_the_interval(
    polling: Polling, clock: Clock
) -> None:
    """The interval grows as if there had been nothing."""
    _intervals(polling, clock, 7)
    polling.sent_nothing(0.001, is_announced=False)

    assert 1.0 == pytest.approx(polling.due_in)


def test_a_run_that_failed_is_not_followed_by_a_long_pause(polling: Polling) -> None:
    """It may have waited for a broker, and signals behind it shall go out."""
    polling.failed(30.0, is_announced=True)

    assert 30 == pytest.approx(polling.due_in)


def test_a_database_that_is_down_is_tried_at_growing_intervals(
    polling: Polling, clock: Clock
) -> None:
    """Two seconds at most: when it is back, that is soon noticed."""
    intervals = []
    for _ in range(7):
        polling.lost_database()
        intervals.append(round(polling.due_in, 3))
        clock.now += polling.due_in

    assert [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0] == intervals

    polling.found_nothing(is_announced=False)
    polling.lost_database()

    assert 0.1 == pytest.approx(polling.due_in)


def test_a_short_poll_is_the_shortest_interval(clock: Clock) -> None:
    """Whoever wants to look every 10 ms may do so."""
    polling = Polling(0.01, clock)

    assert [0.01, 0.01] == _intervals(polling, clock, 2)
