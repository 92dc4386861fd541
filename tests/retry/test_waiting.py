"""A signal that fails waits, longer each time, and is parked in the end."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
from signalbus import PartialDeliveryError
from signalbus_retry import Park
from signalbus_retry import RetryLater
from signalbus_retry import RetryPolicy

if t.TYPE_CHECKING:
    import datetime as dt

    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

METHODS = ["flush", "flushmany", "flushordered"]
UNORDERED = ["flush", "flushmany"]
FORMS = ["instance", "row", "burst", "partial", "broker"]
COUNTS = [1, 10]

#: Each method with each form, half of them in bursts of one.
WAYS = [
    (method, form, COUNTS[(row + column) % 2])
    for row, method in enumerate(METHODS)
    for column, form in enumerate(FORMS)
]

every_way = pytest.mark.parametrize(("method", "form", "count"), WAYS)
every_form = pytest.mark.parametrize("form", FORMS)
every_count = pytest.mark.parametrize("count", COUNTS)


def _seconds(later: dt.datetime | None, earlier: dt.datetime) -> float:
    if later is None:
        raise TypeError("The signal is parked.")
    return (later - earlier).total_seconds()


def _waits(failures: t.Iterable[t.Any]) -> list[float]:
    """Return how long each signal waits from its last attempt to the next, rounded."""
    return [
        round(_seconds(each.next_attempt_at, each.last_failed_at), 1)
        for each in failures
    ]


@pytest.mark.databases
@every_way
def test_signal_that_fails_waits(
    new_model: t.Any,
    record: t.Any,
    boom: t.Any,
    run: t.Any,
    failed: t.Any,
    wire: t.Any,
    pending: t.Any,
    method: str,
    form: str,
    count: int,
) -> None:
    """Its first failure is its first attempt, however it was sent."""
    model = new_model(form=form, signalbus_burst_count=count)
    record(model, "a", "bad")
    run(method)
    (failure,) = failed()

    assert ["a"] == wire.sent
    assert ["bad"] == pending(model)
    assert (model, (2,), 1) == (failure.model, failure.key, failure.attempts)
    assert ("ValueError", "boom") == (failure.error_type, failure.error_text)
    assert [100.0] == _waits([failure])
    assert failure.first_failed_at == failure.last_failed_at


@pytest.mark.databases
@every_way
def test_signal_that_is_not_due_is_passed_over(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    boom: t.Any,
    run: t.Any,
    entries: t.Any,
    wire: t.Any,
    caplog: pytest.LogCaptureFixture,
    method: str,
    form: str,
    count: int,
) -> None:
    """It is not tried, nothing is raised, and nothing is logged."""
    record(new_model(form=form, signalbus_burst_count=count), "bad")
    run(method)
    before = entries()
    wire.attempts.clear()
    caplog.clear()

    assert 0 == getattr(bus, method)()
    assert [] == wire.attempts
    assert [] == caplog.records
    assert before == entries()


@pytest.mark.databases
@pytest.mark.parametrize(
    ("method", "form", "count"), [way for way in WAYS if way[0] in UNORDERED]
)
def test_others_pass_a_signal_that_waits(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    boom: t.Any,
    run: t.Any,
    wire: t.Any,
    pending: t.Any,
    method: str,
    form: str,
    count: int,
) -> None:
    """Signals before it and behind it are sent."""
    model = new_model(form=form, signalbus_burst_count=count)
    record(model, "a", "bad", "b")
    run(method)
    record(model, "c", "d")

    assert 2 == getattr(bus, method)()
    assert ["a", "b", "c", "d"] == wire.sent
    assert ["bad"] == pending(model)


@pytest.mark.databases
@every_way
def test_signal_that_is_due_is_tried(
    new_model: t.Any,
    record: t.Any,
    boom: t.Any,
    run: t.Any,
    due: t.Any,
    failed: t.Any,
    method: str,
    form: str,
    count: int,
) -> None:
    """Each attempt counts once, and the wait grows with each."""
    record(new_model(form=form, signalbus_burst_count=count), "bad")
    seen = []
    for _ in range(4):
        run(method)
        (failure,) = failed()
        seen.append((failure.attempts, *_waits([failure])))
        due()

    assert [(1, 100.0), (2, 200.0), (3, 400.0), (4, 800.0)] == seen


@pytest.mark.databases
@every_way
def test_signal_that_gets_through_has_no_failure(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    boom: t.Any,
    run: t.Any,
    due: t.Any,
    entries: t.Any,
    wire: t.Any,
    method: str,
    form: str,
    count: int,
) -> None:
    """Its row and its entry go together."""
    model = new_model(form=form, signalbus_burst_count=count)
    record(model, "bad")
    run(method)
    due()
    wire.failures.clear()

    assert 1 == getattr(bus, method)()
    assert ["bad"] == wire.sent
    assert [] == entries()
    assert {model: 0} == bus.count_pending()


@pytest.mark.databases
@every_way
def test_signal_is_parked_after_its_last_attempt(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    boom: t.Any,
    run: t.Any,
    due: t.Any,
    attempts: t.Any,
    wire: t.Any,
    pending: t.Any,
    method: str,
    form: str,
    count: int,
) -> None:
    """It is tried exactly so often, and then never again."""
    policy = RetryPolicy(max_attempts=3)
    model = new_model(form=form, signalbus_burst_count=count, signalbus_retry=policy)
    record(model, "bad")
    seen = []
    for _ in range(3):
        run(method)
        seen.append(attempts()[1])
        due()
    wire.attempts.clear()

    assert [(1, "waits"), (2, "waits"), (3, "parked")] == seen
    assert 0 == getattr(bus, method)()
    assert [] == wire.attempts
    assert {1: (3, "parked")} == attempts()
    assert ["bad"] == pending(model)


def test_single_attempt_parks_at_once(
    new_model: t.Any, record: t.Any, boom: t.Any, run: t.Any, attempts: t.Any
) -> None:
    """Where there is one attempt, there is no wait."""
    record(new_model(signalbus_retry=RetryPolicy(max_attempts=1)), "bad")
    run()

    assert {1: (1, "parked")} == attempts()


def test_wait_grows_up_to_a_limit(
    new_model: t.Any, record: t.Any, boom: t.Any, run: t.Any, due: t.Any, failed: t.Any
) -> None:
    """The multiplier applies to each wait until the longest is reached."""
    policy = RetryPolicy(first_delay=10, multiplier=3, max_delay=100, jitter=0)
    record(new_model(signalbus_retry=policy), "bad")
    seen = []
    for _ in range(5):
        run()
        seen += _waits(failed())
        due()

    assert [10.0, 30.0, 90.0, 100.0, 100.0] == seen


def test_many_attempts_do_not_overflow(
    new_model: t.Any,
    record: t.Any,
    boom: t.Any,
    run: t.Any,
    due: t.Any,
    execute: t.Any,
    failed: t.Any,
) -> None:
    """A power that no number can hold is the longest wait."""
    policy = RetryPolicy(max_attempts=10**6, multiplier=1000, max_delay=60, jitter=0)
    record(new_model(signalbus_retry=policy), "bad")
    run()
    execute("UPDATE signalbus_failure SET attempts = 100000")
    due()
    run()

    assert [60.0] == _waits(failed())


@pytest.mark.databases
def test_first_failure_is_remembered(
    new_model: t.Any, record: t.Any, wire: t.Any, run: t.Any, due: t.Any, failed: t.Any
) -> None:
    """The error and the time of the last failure change, that of the first does not."""
    wire.failures["bad"] = ValueError("boom")
    record(new_model(), "bad")
    run()
    (before,) = failed()
    wire.failures["bad"] = LookupError("bang")
    due()
    run()
    (after,) = failed()

    assert before.first_failed_at == after.first_failed_at
    assert before.last_failed_at < after.last_failed_at
    assert ("LookupError", "bang") == (after.error_type, after.error_text)


@pytest.mark.databases
@pytest.mark.parametrize("method", UNORDERED)
@every_form
def test_all_that_fail_of_a_burst_are_counted(
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    run: t.Any,
    due: t.Any,
    attempts: t.Any,
    method: str,
    form: str,
) -> None:
    """A burst that is sent again one by one is one attempt of each that fails."""
    wire.failures = {text: ValueError(text) for text in ("x", "y", "z")}
    record(new_model(form=form, signalbus_burst_count=4), "a", "x", "y", "b", "z", "c")
    run(method)
    due()
    del wire.failures["y"]
    run(method)

    assert ["a", "b", "c", "y"] == sorted(wire.sent)
    assert {2: (2, "waits"), 5: (2, "waits")} == attempts()


@pytest.mark.databases
@every_way
def test_retry_later_is_no_attempt(
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    run: t.Any,
    due: t.Any,
    failed: t.Any,
    method: str,
    form: str,
    count: int,
) -> None:
    """A signal waits as long as its sender says, however often, and is never parked."""
    wire.failures["bad"] = RetryLater(77, "the shop is closed")
    policy = RetryPolicy(max_attempts=1)
    model = new_model(form=form, signalbus_burst_count=count, signalbus_retry=policy)
    record(model, "bad")
    for _ in range(3):
        run(method)
        (failure,) = failed()

        assert 0 == failure.attempts
        assert [77.0] == _waits([failure])
        assert "the shop is closed" in failure.error
        due()


@pytest.mark.parametrize("seconds", [0, 0.5, 86400])
def test_retry_later_takes_any_time(
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    run: t.Any,
    failed: t.Any,
    seconds: float,
) -> None:
    """Neither the policy's longest wait nor its jitter apply; a reason is optional."""
    wire.failures["bad"] = RetryLater(seconds)
    record(new_model(signalbus_retry=RetryPolicy(max_delay=60)), "bad")
    run()

    assert [seconds] == _waits(failed())


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), "1", None])
def test_retry_later_is_checked(seconds: t.Any) -> None:
    """A time that cannot be waited for is refused where it is written."""
    with pytest.raises(ValueError, match="seconds"):
        RetryLater(seconds)


def test_retry_later_keeps_the_attempts_made(
    new_model: t.Any,
    record: t.Any,
    boom: t.Any,
    wire: t.Any,
    run: t.Any,
    due: t.Any,
    attempts: t.Any,
) -> None:
    """Attempts before and after it count on."""
    record(new_model(), "bad")
    for error in (boom, RetryLater(5), boom):
        wire.failures["bad"] = error
        run()
        due()

    assert {1: (2, "waits")} == attempts()


@pytest.mark.databases
@every_way
def test_park_parks_at_once(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    run: t.Any,
    due: t.Any,
    failed: t.Any,
    method: str,
    form: str,
    count: int,
) -> None:
    """A sender knows that trying again is of no use, and why."""
    wire.failures["bad"] = Park("no such customer")
    record(new_model(form=form, signalbus_burst_count=count), "bad")
    run(method)
    due()
    wire.attempts.clear()
    (failure,) = failed()

    assert 0 == getattr(bus, method)()
    assert [] == wire.attempts
    assert failure.is_parked
    assert failure.next_attempt_at is None
    assert "no such customer" in failure.error


def test_park_needs_no_reason(
    new_model: t.Any, record: t.Any, wire: t.Any, run: t.Any, failed: t.Any
) -> None:
    """Its type is enough."""
    wire.failures["bad"] = Park()
    record(new_model(), "bad")
    run()
    (failure,) = failed()

    assert failure.is_parked
    assert failure.error.startswith("Park")


@pytest.mark.databases
@pytest.mark.parametrize("form", FORMS)
def test_errors_of_some_types_park_at_once(
    new_model: t.Any, record: t.Any, wire: t.Any, run: t.Any, attempts: t.Any, form: str
) -> None:
    """Those that the policy names, and their subclasses; the others wait."""
    wire.failures = {"x": KeyError("x"), "y": ValueError("y"), "z": TypeError("z")}
    policy = RetryPolicy(park_on=(LookupError, TypeError))
    model = new_model(form=form, signalbus_burst_count=9, signalbus_retry=policy)
    record(model, "x", "y", "z")
    run()

    assert {1: (1, "parked"), 2: (1, "waits"), 3: (1, "parked")} == attempts()


def test_retry_later_wins_over_park_on(
    new_model: t.Any, record: t.Any, wire: t.Any, run: t.Any, attempts: t.Any
) -> None:
    """What a sender says about one signal counts more than its type."""
    wire.failures["bad"] = RetryLater(5)
    record(new_model(signalbus_retry=RetryPolicy(park_on=(Exception,))), "bad")
    run()

    assert {1: (0, "waits")} == attempts()


@pytest.mark.databases
@pytest.mark.parametrize("method", UNORDERED)
@pytest.mark.parametrize("form", ["partial", "broker"])
def test_each_signal_of_a_partial_delivery_has_its_own(
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    run: t.Any,
    failed: t.Any,
    method: str,
    form: str,
) -> None:
    """What was raised for a signal applies to it alone."""
    wire.failures = {"x": RetryLater(5), "y": Park("away"), "z": ValueError("boom")}
    record(new_model(form=form, signalbus_burst_count=9), "a", "x", "y", "z")
    run(method)
    x, y, z = failed()

    assert ["a"] == wire.sent
    assert [5.0, 100.0] == _waits([x, z])
    assert [0, 1] == [x.attempts, z.attempts]
    assert y.is_parked


def test_partial_delivery_of_one_is_that_one(
    new_model: t.Any, record: t.Any, run: t.Any, failed: t.Any
) -> None:
    """The failure has the signal's own error, not the burst's."""

    def send_signalbus_messages(cls: SignalModel, signals: t.Any) -> None:
        raise PartialDeliveryError({0: ValueError("boom")})

    methods = {"send_signalbus_messages": classmethod(send_signalbus_messages)}
    record(new_model(signalbus_burst_count=9, **methods), "a")
    run()

    assert ["ValueError: boom"] == [each.error for each in failed()]


@pytest.mark.databases
@every_form
@every_count
def test_autoflush_is_the_first_attempt(
    db: SQLAlchemy,
    new_model: t.Any,
    boom: t.Any,
    wire: t.Any,
    attempts: t.Any,
    form: str,
    count: int,
) -> None:
    """What fails right after the commit waits, and the commit is done."""
    model = new_model(form=form, signalbus_burst_count=count)
    db.session.add_all([model(text="a"), model(text="bad")])
    db.session.commit()

    assert ["a"] == wire.sent
    assert {2: (1, "waits")} == attempts()


@pytest.mark.databases
def test_autoflush_then_flush_is_the_second_attempt(
    db: SQLAlchemy,
    greeting: t.Any,
    boom: t.Any,
    wire: t.Any,
    run: t.Any,
    due: t.Any,
    attempts: t.Any,
) -> None:
    """A flush leaves what autoflush tried until it is due."""
    db.session.add(greeting(text="bad"))
    db.session.commit()
    run()

    assert 1 == wire.tries("bad")

    due()
    run()

    assert 2 == wire.tries("bad")
    assert {1: (2, "waits")} == attempts()


def test_commit_leaves_earlier_failures_alone(
    db: SQLAlchemy,
    greeting: t.Any,
    boom: t.Any,
    run: t.Any,
    record: t.Any,
    wire: t.Any,
    due: t.Any,
) -> None:
    """Autoflush sends what the commit recorded, and nothing that was due before."""
    record(greeting, "bad")
    run()
    due()
    db.session.add(greeting(text="a"))
    db.session.commit()

    assert [["bad"], ["a"]] == wire.attempts


@pytest.mark.databases
@every_form
@pytest.mark.parametrize("error", [ValueError("boom"), Park()])
@pytest.mark.parametrize(("early", "count"), [(True, 10), (False, 1)])
def test_flushordered_stops_at_a_failed_signal(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    run: t.Any,
    pending: t.Any,
    form: str,
    count: int,
    error: Exception,
    early: bool,
) -> None:
    """Whether it waits or is parked: order is the point."""
    wire.failures["bad"] = error
    model = new_model(form=form, signalbus_burst_count=count)
    record(model, "bad")
    run("flushordered" if early else "flushmany")
    record(model, "a")

    assert 0 == bus.flushordered()
    assert ["bad", "a"] == pending(model)
    assert [] == wire.sent


@pytest.mark.databases
@every_form
@every_count
def test_flushordered_passes_a_parked_signal_if_the_model_says_so(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    run: t.Any,
    pending: t.Any,
    form: str,
    count: int,
) -> None:
    """With "skip", the others pass, from the next run on at the latest."""
    wire.failures["bad"] = Park()
    skip = {"signalbus_burst_count": count, "signalbus_on_parked": "skip"}
    model = new_model(form=form, **skip)
    record(model, "a", "bad", "b", "c")
    run("flushordered")
    run("flushordered")

    assert ["bad"] == pending(model)
    assert ["a", "b", "c"] == wire.sent


@pytest.mark.databases
@every_form
def test_flushordered_stops_at_a_waiting_signal_whatever_the_model_says(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    boom: t.Any,
    run: t.Any,
    form: str,
) -> None:
    """It is about parked signals: one that waits may still get through."""
    record(new_model(form=form, signalbus_on_parked="skip"), "a", "bad", "b")
    run("flushordered")

    assert 0 == bus.flushordered()
    assert ["a"] == wire.sent


def test_stop_is_the_default_and_may_be_said(
    bus: SignalBus, new_model: t.Any, record: t.Any, wire: t.Any, run: t.Any
) -> None:
    """A model that says "stop" has what the others have."""
    wire.failures["bad"] = Park()
    record(new_model(signalbus_on_parked="stop"), "bad", "a")
    run("flushordered")

    assert 0 == bus.flushordered()
    assert [] == wire.sent


def test_flushordered_goes_on_once_the_signal_is_sent(
    bus: SignalBus,
    greeting: t.Any,
    record: t.Any,
    wire: t.Any,
    boom: t.Any,
    run: t.Any,
    due: t.Any,
) -> None:
    """Then the others follow, in order."""
    record(greeting, "a", "bad", "b", "c")
    run("flushordered")
    due()
    wire.failures.clear()

    assert 3 == bus.flushordered()
    assert ["a", "bad", "b", "c"] == wire.sent


def test_flushordered_stops_one_model_only(
    bus: SignalBus,
    greeting: t.Any,
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    boom: t.Any,
    run: t.Any,
) -> None:
    """The other models still go out."""
    record(greeting, "bad", "a")
    run("flushordered")
    record(new_model("Other"), "b")

    assert 1 == bus.flushordered()
    assert ["b"] == wire.sent


def test_flushordered_keeps_the_order_of_the_model(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    boom: t.Any,
    run: t.Any,
) -> None:
    """What comes before a signal that waits is by the model's order, not by its key."""
    text = sa.Column(sa.String(50))
    record(new_model(text=text, signalbus_order_by=(text.asc(),)), "z", "bad", "a")
    run("flushordered")
    wire.failures.clear()

    assert 0 == bus.flushordered()
    assert ["a"] == wire.sent


def test_unordered_flushes_pass_parked_signals_whatever_the_model_says(
    bus: SignalBus, new_model: t.Any, record: t.Any, wire: t.Any, run: t.Any
) -> None:
    """A model's "stop" is about order, which flush and flushmany do not keep."""
    wire.failures["bad"] = Park()
    model = new_model(signalbus_on_parked="stop")
    record(model, "bad")
    run("flushordered")
    record(model, "a")

    assert 1 == bus.flush()
    record(model, "b")
    assert 1 == bus.flushmany()


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row", "partial"])
def test_row_that_was_corrected_is_sent(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    boom: t.Any,
    run: t.Any,
    due: t.Any,
    execute: t.Any,
    form: str,
) -> None:
    """The signal's own row stays where it is; plain SQL may change it."""
    record(new_model(form=form), "bad")
    run()
    execute("UPDATE greeting SET text = 'good'")
    due()

    assert 1 == bus.flush()
    assert ["good"] == wire.sent


@pytest.mark.databases
@pytest.mark.parametrize("method", UNORDERED)
def test_thousands_wait_between_thousands(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    run: t.Any,
    attempts: t.Any,
    method: str,
) -> None:
    """However many wait, the others go out once each, in any burst."""
    texts = [str(number) for number in range(2500)]
    bad = texts[::2]
    wire.failures = dict.fromkeys(bad, ValueError("boom"))
    model = new_model(form="partial", signalbus_burst_count=100)
    record(model, *texts)
    run(method)
    record(model, "x", "y")

    assert 2 == getattr(bus, method)()
    assert sorted([*texts[1::2], "x", "y"]) == sorted(wire.sent)
    assert len(bad) == len(attempts())


@pytest.mark.databases
def test_long_errors_are_kept(
    new_model: t.Any, record: t.Any, wire: t.Any, run: t.Any, failed: t.Any
) -> None:
    """Whatever an error says, the failure is written; its beginning can be read."""
    wire.failures["bad"] = ValueError("Ärger 🔥\x00\ud800" + "x" * 10**6)
    record(new_model(), "bad")
    run()
    (failure,) = failed()

    assert failure.error_text.startswith("Ärger 🔥")
    assert failure.error_text.count("x") >= 1000


@pytest.mark.databases("mariadb")
def test_errors_of_any_script_are_kept(
    db: SQLAlchemy,
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    run: t.Any,
    execute: t.Any,
    failed: t.Any,
    app_ctx: object,
) -> None:
    """Even if the database is of an old character set."""
    execute(f"ALTER DATABASE {db.engine.url.database} CHARACTER SET latin1")
    db.engine.dispose()
    wire.failures["bad"] = ValueError("Ärger 日本 🔥")
    record(new_model(), "bad")
    run()

    assert ["ValueError"] == [each.error_type for each in failed()]


class MuteError(Exception):
    """An error that cannot say anything."""

    def __str__(self) -> str:
        """Fail."""
        raise LookupError


def test_errors_that_cannot_speak_are_kept(
    new_model: t.Any, record: t.Any, wire: t.Any, run: t.Any, failed: t.Any
) -> None:
    """Their type says what there is to say."""
    wire.failures["bad"] = MuteError()
    record(new_model(), "bad")
    run()

    assert ["MuteError"] == [each.error_type for each in failed()]


def test_error_with_a_long_name_is_kept(
    new_model: t.Any, record: t.Any, wire: t.Any, run: t.Any, failed: t.Any
) -> None:
    """However long the name of its type is."""
    wire.failures["bad"] = type("E" * 1000, (Exception,), {})("boom")
    record(new_model(), "bad")
    run()

    assert ["boom"] == [each.error_text for each in failed()]


@pytest.mark.databases
def test_models_of_one_name_do_not_mix(
    db: SQLAlchemy,
    new_model: t.Any,
    record: t.Any,
    wire: t.Any,
    boom: t.Any,
    run: t.Any,
    failed: t.Any,
) -> None:
    """Two models whose signals have the same key have a failure each."""
    first, second = new_model("First"), new_model("Second")
    record(first, "bad")
    record(second, "bad")
    run()

    assert [first, second] == [each.model for each in failed()]
