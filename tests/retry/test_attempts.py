"""Attempts that are written down before they are made, for signals that kill."""

from __future__ import annotations

import threading
import typing as t

import pytest
from signalbus import BrokerUnavailableError
from signalbus import SignalBus
from signalbus_retry import ProcessEndedError
from signalbus_retry import RetryPolicy
from signalbus_retry import discard
from signalbus_retry import failure_groups
from signalbus_retry import failures
from signalbus_retry import park
from signalbus_retry import replay
from signalbus_retry._memory import memory_of
from signalbus_retry.attempts import Attempts
from signalbus_retry.attempts import settle_gone

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus.typing import SignalModel

    from tests.retry.conftest import Wire

pytestmark = pytest.mark.databases

Start: t.TypeAlias = "t.Callable[..., Attempts]"


@pytest.fixture
def start(bus: SignalBus, greeting: SignalModel) -> Start:
    """Make the attempts of a relay; by default, always those of the same one."""
    return lambda by="relay-1": Attempts(bus, greeting, by)


@pytest.fixture
def killed(start: Start, bus: SignalBus, greeting: SignalModel) -> t.Any:
    """Let a relay begin to send a signal, and end; the next one counts that."""

    def kill(key: t.Any = (1,), by: str = "relay-1") -> None:
        assert start(by).begin(key)
        assert 1 == settle_gone(bus, [greeting], [by])

    return kill


def test_success_leaves_no_entry(
    start: Start, greeting: SignalModel, record: t.Any, wire: Wire, entries: t.Any
) -> None:
    """It is cleared in the transaction that deletes the signal."""
    record(greeting, "a")
    attempt = start().begin((1,))

    assert attempt
    assert ["being sent"] == [each.error_type for each in entries()]
    assert 1 == attempt.make()
    assert ["a"] == wire.sent
    assert [] == entries()


def test_failure_counts_once(
    start: Start, greeting: SignalModel, record: t.Any, boom: t.Any, failed: t.Any
) -> None:
    """That the attempt was written down before does not make it two."""
    record(greeting, "bad")
    attempt = start().begin((1,))
    assert attempt
    with pytest.raises(ValueError, match="boom"):
        attempt.make()
    (failure,) = failed()

    assert (1, "ValueError: boom") == (failure.attempts, failure.error)


def test_later_failure_counts_once(
    start: Start,
    greeting: SignalModel,
    record: t.Any,
    boom: t.Any,
    run: t.Any,
    due: t.Any,
    failed: t.Any,
) -> None:
    """As that of a signal that has failed before."""
    record(greeting, "bad")
    run()
    due()
    attempt = start().begin((1,))
    assert attempt
    with pytest.raises(ValueError, match="boom"):
        attempt.make()
    (failure,) = failed()

    assert (2, "ValueError: boom") == (failure.attempts, failure.error)


@pytest.mark.parametrize("has_failed", [False, True])
def test_broker_that_is_down_counts_nothing(
    start: Start,
    greeting: SignalModel,
    record: t.Any,
    wire: Wire,
    boom: t.Any,
    run: t.Any,
    due: t.Any,
    failed: t.Any,
    has_failed: bool,
) -> None:
    """What was known before is known again."""
    record(greeting, "bad")
    if has_failed:
        run()
        due()
    before = failed()
    wire.failures["bad"] = BrokerUnavailableError()
    attempt = start().begin((1,))
    assert attempt
    with pytest.raises(BrokerUnavailableError):
        attempt.make()

    assert before == failed()


def test_what_is_held_back_is_not_begun(
    bus: SignalBus,
    start: Start,
    greeting: SignalModel,
    record: t.Any,
    boom: t.Any,
    run: t.Any,
) -> None:
    """A signal that waits, is parked, or is gone."""
    record(greeting, "bad", "a")
    park(bus, greeting, [(2,)])
    run()

    assert [None] * 3 == [start().begin((number,)) for number in (1, 2, 3)]


def test_attempt_is_begun_by_one(
    start: Start, greeting: SignalModel, record: t.Any, wire: Wire
) -> None:
    """The signal is sent once, whoever else starts at the same time."""
    record(greeting, "a")
    attempt = start("relay-1").begin((1,))

    assert start("relay-2").begin((1,)) is None
    assert attempt
    assert 1 == attempt.make()
    assert ["a"] == wire.sent


def test_others_leave_a_begun_attempt_alone(
    bus: SignalBus, start: Start, greeting: SignalModel, record: t.Any, wire: Wire
) -> None:
    """A flush might otherwise take it between its entry and its lock."""
    record(greeting, "a", "b")
    start().begin((1,))
    bus.flushmany()

    assert ["b"] == wire.sent


def test_two_who_begin_together_send_once(
    bus: SignalBus,
    db: SQLAlchemy,
    app: t.Any,
    start: Start,
    greeting: SignalModel,
    record: t.Any,
    wire: Wire,
    entries: t.Any,
) -> None:
    """No signal goes out twice, no entry stays, and the next flush has the rest."""
    record(greeting, *map(str, range(20)))
    barrier = threading.Barrier(3)

    def send(by: str) -> None:
        with app.app_context():
            attempts = start(by)
            barrier.wait()
            for number in range(1, 21):
                attempt = attempts.begin((number,))
                if attempt:
                    attempt.make()

    threads = [threading.Thread(target=send, args=(f"relay-{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bus.flushmany()

    assert sorted(map(str, range(20))) == sorted(wire.sent)
    assert [] == entries()


def test_first_end_counts_two_attempts(
    killed: t.Any, greeting: SignalModel, record: t.Any, failed: t.Any
) -> None:
    """Attempts are written down after a process has ended: that was one, too."""
    record(greeting, "a")
    killed()
    (failure,) = failed()

    assert 2 == failure.attempts
    assert "ProcessEndedError: The process ended while this signal was being sent." == (
        failure.error
    )
    assert 150 < (failure.next_attempt_at - failure.last_failed_at).total_seconds()


def test_signal_is_parked_after_its_last_attempt(
    killed: t.Any,
    greeting: SignalModel,
    record: t.Any,
    due: t.Any,
    attempts: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log says which, why, and what to do."""
    record(greeting, "a")
    for relay in range(4):
        due()
        killed(by=f"relay-{relay}")

    assert {1: (5, "parked")} == attempts()
    assert (
        "Greeting(id=1) was not sent and is parked: ProcessEndedError: The process"
        " ended while this signal was being sent. To have it sent, run `flask"
        " signalbus replay Greeting --key 1`."
    ) == caplog.messages[-1]


def test_policy_may_park_at_the_first_end(
    bus: SignalBus, new_model: t.Any, record: t.Any, attempts: t.Any
) -> None:
    """The error can be named there."""
    policy = RetryPolicy(park_on=(ProcessEndedError,))
    model = new_model("Fatal", signalbus_retry=policy)
    record(model, "a")
    Attempts(bus, model, "relay-1").begin((1,))
    settle_gone(bus, [model], ["relay-1"])

    assert {1: (2, "parked")} == attempts()


def test_end_is_counted_once(
    bus: SignalBus, start: Start, greeting: SignalModel, record: t.Any, attempts: t.Any
) -> None:
    """However many look for it; and not that of relays that live."""
    record(greeting, "a", "b")
    start("relay-1").begin((1,))
    start("relay-2").begin((2,))

    assert [1, 0] == [settle_gone(bus, [greeting], ["relay-1"]) for _ in range(2)]
    assert {1: (2, "waits"), 2: (1, "waits")} == attempts()


@pytest.mark.databases("postgresql", "mariadb")
def test_signal_that_is_being_sent_has_not_ended(
    bus: SignalBus, start: Start, greeting: SignalModel, record: t.Any, wire: Wire
) -> None:
    """A relay that only seems to be gone holds the lock."""
    record(greeting, "a")
    attempts = start()
    attempt = attempts.begin((1,))
    with attempts.rows.transaction() as connection:
        attempts.rows.lock(connection, [(1,)])

        assert 0 == settle_gone(bus, [greeting], ["relay-1"])

    assert attempt
    assert 1 == attempt.make()


def test_begun_attempt_is_retrying(
    bus: SignalBus, start: Start, greeting: SignalModel, record: t.Any, flask: t.Any
) -> None:
    """For people it is one of the signals that will be tried again."""
    record(greeting, "a")
    start().begin((1,))
    (group,) = failure_groups(bus)
    (failure,) = failures(bus, parked=False)

    assert (1, 0) == (group.waiting, group.parked)
    assert [] == list(failures(bus, parked=True))
    assert "being sent: by the relay relay-1" == failure.error
    assert "being sent" in flask("failures", "--retrying").out


@pytest.mark.parametrize("operation", [replay, discard])
def test_cancelled_attempt_restores_nothing_that_is_gone(
    bus: SignalBus,
    start: Start,
    greeting: SignalModel,
    record: t.Any,
    boom: t.Any,
    run: t.Any,
    due: t.Any,
    entries: t.Any,
    operation: t.Any,
) -> None:
    """A person was quicker."""
    record(greeting, "bad")
    run()
    due()
    attempt = start().begin((1,))
    operation(bus, [greeting])
    assert attempt
    attempt.cancel()

    assert [] == entries()


def test_parked_signal_stays_parked(
    bus: SignalBus, start: Start, greeting: SignalModel, record: t.Any, wire: Wire
) -> None:
    """A person who parks it is heard, and it is not sent."""
    record(greeting, "a")
    attempt = start().begin((1,))
    park(bus, greeting, [(1,)])
    assert attempt

    assert 0 == attempt.make()
    assert [True] == [each.is_parked for each in failures(bus)]
    assert [] == wire.sent


def test_suspects_are_left_to_those_who_ask_for_them(
    bus: SignalBus,
    start: Start,
    killed: t.Any,
    greeting: SignalModel,
    record: t.Any,
    due: t.Any,
    wire: Wire,
) -> None:
    """They are not sent in a burst with others."""
    record(greeting, "a", "b")
    killed()
    due()
    attempts = start("relay-2")

    assert [] == attempts.suspects()

    bus.flushmany()

    assert ["b"] == wire.sent
    assert [(1,)] == attempts.suspects()
    assert [] == attempts.suspects()

    attempt = attempts.begin((1,))
    assert attempt
    assert 1 == attempt.make()
    assert ["b", "a"] == wire.sent


def test_suspects_are_sent_where_nobody_asks(
    bus: SignalBus,
    killed: t.Any,
    greeting: SignalModel,
    record: t.Any,
    due: t.Any,
    wire: Wire,
) -> None:
    """A command has nobody who would send them one at a time."""
    record(greeting, "a", "b")
    killed()
    due()
    bus.flushmany()

    assert ["a", "b"] == wire.sent


def test_attempt_that_nobody_counted_is_counted_by_the_next(
    start: Start, greeting: SignalModel, record: t.Any, due: t.Any, attempts: t.Any
) -> None:
    """After a minute it is known that nobody is making it."""
    record(greeting, "a")
    for relay, count in enumerate([1, 3, 4, 5]):
        due()

        assert start(f"relay-{relay}").begin((1,))
        assert {1: (count, "waits")} == attempts()

    due()

    assert start("relay-9").begin((1,)) is None
    assert {1: (5, "parked")} == attempts()


def test_attempts_are_made_without_the_table(
    bus: SignalBus,
    start: Start,
    greeting: SignalModel,
    record: t.Any,
    execute: t.Any,
    wire: Wire,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Flushing goes on, and the log has one line."""
    record(greeting, "a", "b")
    execute("DROP TABLE signalbus_failure")
    attempts = start()
    made = [attempts.begin((number,)) for number in (1, 2)]

    assert [1, 1] == [attempt.make() for attempt in made if attempt]
    assert 0 == settle_gone(bus, [greeting], ["relay-1"])
    assert ["a", "b"] == wire.sent
    assert 1 == sum("signalbus_failure" in each for each in caplog.messages)


def test_nothing_is_kept_of_attempts_that_were_made(
    bus: SignalBus, start: Start, greeting: SignalModel, record: t.Any
) -> None:
    """Not even which thread made them."""
    record(greeting, "a")
    attempt = start().begin((1,))
    assert attempt
    attempt.make()

    assert not memory_of(bus).attempts(greeting).current
