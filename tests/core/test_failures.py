"""One signal that cannot be sent never stops the others, and none is lost."""

from __future__ import annotations

import errno
import logging
import socket
import sqlite3
import time
import typing as t
import urllib.error

import pytest
import sqlalchemy as sa
from signalbus import BrokerUnavailableError
from signalbus import MissingTableError
from signalbus import NoBrokerError
from signalbus import PartialDeliveryError
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

METHODS = ["flush", "flushmany"]

UNREACHABLE = [
    BrokerUnavailableError(),
    ConnectionRefusedError("no route"),
    ConnectionError("reset"),
    TimeoutError("too slow"),
    socket.gaierror(socket.EAI_NONAME, "unknown host"),
    socket.herror(1, "unknown host"),
    OSError(errno.ENETUNREACH, "no network"),
    OSError(errno.EHOSTUNREACH, "no host"),
    urllib.error.URLError(ConnectionRefusedError("no route")),
]

#: Errors that are ``OSError``, too, and say nothing about the broker.
OTHER_OS_ERRORS = [
    OSError("400 Client Error: Bad Request"),
    FileNotFoundError(errno.ENOENT, "no such file"),
    PermissionError(errno.EACCES, "not allowed"),
    urllib.error.HTTPError("http://shop", 400, "Bad Request", {}, None),  # type: ignore[arg-type]
]


@pytest.fixture
def boom(wire: t.Any) -> ValueError:
    """Let the signal "bad" fail."""
    wire.failures["bad"] = ValueError("boom")
    return wire.failures["bad"]


@pytest.fixture
def partial(new_model: t.Any, wire: t.Any) -> SignalModel:
    """Declare a model whose sender knows that the bad signals are not confirmed."""

    def send_signalbus_messages(cls: SignalModel, signals: t.Iterable[t.Any]) -> None:
        texts = [signal.text for signal in signals]
        wire.attempts.append(texts)
        wire.sent.extend(text for text in texts if "bad" not in text)
        bad = {i: ValueError(x) for i, x in enumerate(texts) if "bad" in x}
        if bad:
            raise PartialDeliveryError(bad)

    return new_model(
        "Partial",
        form="row",
        signalbus_burst_count=3,
        send_signalbus_messages=classmethod(send_signalbus_messages),
    )


@pytest.mark.databases
@pytest.mark.parametrize("method", METHODS)
def test_partial_delivery_keeps_what_failed(
    bus: SignalBus,
    partial: SignalModel,
    wire: t.Any,
    record: t.Any,
    pending: t.Any,
    method: str,
) -> None:
    """What was confirmed is deleted, what failed is kept, and the run goes on."""
    record(partial, "a", "bad 1", "b", "c", "d", "bad 2", "e")
    with pytest.raises((PartialDeliveryError, ValueError)):
        getattr(bus, method)()

    assert ["bad 1", "bad 2"] == pending(partial)
    assert ["a", "b", "c", "d", "e"] == sorted(wire.sent)


@pytest.mark.parametrize("method", METHODS)
def test_partial_delivery_is_not_tried_again(
    bus: SignalBus, partial: SignalModel, wire: t.Any, record: t.Any, method: str
) -> None:
    """What failed is not sent again in the same run, nor is what got through."""
    record(partial, "a", "bad 1", "b", "c", "d", "bad 2", "e")
    with pytest.raises((PartialDeliveryError, ValueError)):
        getattr(bus, method)()

    attempts = [text for texts in wire.attempts for text in texts]
    assert sorted(["a", "bad 1", "b", "c", "d", "bad 2", "e"]) == sorted(attempts)


def test_partial_delivery_may_fail_whole(
    bus: SignalBus, partial: SignalModel, record: t.Any, pending: t.Any
) -> None:
    """A burst of which nothing was confirmed is kept, and the next one goes out."""
    record(partial, "bad 1", "bad 2", "bad 3", "a")
    with pytest.raises((PartialDeliveryError, ValueError)):
        bus.flush()

    assert ["bad 1", "bad 2", "bad 3"] == pending(partial)


@pytest.mark.parametrize("position", [3, -1, "x"])
def test_partial_delivery_of_nobody_deletes_nothing_wrong(
    bus: SignalBus, new_model: t.Any, record: t.Any, pending: t.Any, position: t.Any
) -> None:
    """A sender that names positions that do not exist gets an error, and keeps all."""

    def send_signalbus_messages(cls: SignalModel, signals: t.Iterable[t.Any]) -> None:
        raise PartialDeliveryError({position: ValueError("bad")})

    model = new_model(
        form="row",
        signalbus_burst_count=3,
        send_signalbus_messages=classmethod(send_signalbus_messages),
        send_signalbus_message=classmethod(send_signalbus_messages),
    )
    record(model, "a", "b", "c")
    with pytest.raises(Exception, match=r"."):
        bus.flush()

    assert ["a", "b", "c"] == pending(model)


@pytest.mark.parametrize("method", [*METHODS, "flushordered"])
@pytest.mark.parametrize("error", UNREACHABLE, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("burst", [True, False])
def test_unreachable_broker_is_tried_once(
    bus: SignalBus,
    new_model: t.Any,
    wire: t.Any,
    record: t.Any,
    pending: t.Any,
    error: Exception,
    burst: bool,
    method: str,
) -> None:
    """A broker that cannot be reached is not tried again, signal after signal."""
    model = new_model(form="row", burst=burst, signalbus_burst_count=2)
    record(model, "a", "b", "c", "d", "e")
    wire.cut = error
    with pytest.raises((BrokerUnavailableError, OSError)):
        getattr(bus, method)()

    assert 1 == len(wire.attempts)
    assert ["a", "b", "c", "d", "e"] == pending(model)


@pytest.mark.parametrize("error", OTHER_OS_ERRORS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("burst", [True, False])
def test_other_os_errors_are_those_of_a_signal(
    bus: SignalBus,
    new_model: t.Any,
    wire: t.Any,
    record: t.Any,
    pending: t.Any,
    error: Exception,
    burst: bool,
) -> None:
    """A file that is missing, or a status of 400, stops nobody else."""
    model = new_model(form="row", burst=burst, signalbus_burst_count=3)
    record(model, "a", "bad", "b", "c")
    wire.failures["bad"] = error
    with pytest.raises(type(error)):
        bus.flushmany()

    assert ["bad"] == pending(model)


@pytest.mark.parametrize("method", [*METHODS, "flushordered"])
def test_models_of_another_broker_go_on(
    bus: SignalBus, new_model: t.Any, new_broker: t.Any, record: t.Any, method: str
) -> None:
    """A broker that is down stops its own models only."""
    down, up = new_broker("down"), new_broker("up")
    down.wire.cut = ConnectionError("reset")
    for name, broker in [("First", "down"), ("Second", "up"), ("Third", "up")]:
        record(new_model(name, form=broker), f"{name} 1", f"{name} 2")
    with pytest.raises((BrokerUnavailableError, OSError)):
        getattr(bus, method)()

    assert 1 == len(down.wire.attempts)
    assert 4 == len(up.wire.sent)


@pytest.mark.databases
def test_connection_lost_in_the_middle_of_a_burst(
    bus: SignalBus, new_model: t.Any, wire: t.Any, record: t.Any, pending: t.Any
) -> None:
    """A single form that got some through before its broker was lost keeps the rest."""
    model = new_model(signalbus_burst_count=4)
    record(model, "a", "b", "bad", "c", "d")
    wire.failures["bad"] = ConnectionError("reset")
    with pytest.raises((BrokerUnavailableError, OSError)):
        bus.flushmany()

    assert [["a"], ["b"], ["bad"]] == wire.attempts
    assert ["bad", "c", "d"] == pending(model)


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize(("burst", "burst_count"), [(True, 3), (False, 3), (False, 1)])
@pytest.mark.parametrize("method", METHODS)
def test_bad_signal_does_not_stop_the_others(
    bus: SignalBus,
    new_model: t.Any,
    wire: t.Any,
    boom: ValueError,
    record: t.Any,
    pending: t.Any,
    form: str,
    burst: bool,
    burst_count: int,
    method: str,
) -> None:
    """One bad signal stays; the rest of its burst and all other bursts go out."""
    model = new_model(form=form, burst=burst, signalbus_burst_count=burst_count)
    record(model, "a", "bad", "b", "c", "d", "bad", "e")
    with pytest.raises(ValueError, match="boom"):
        getattr(bus, method)()

    assert ["bad", "bad"] == pending(model)
    assert ["a", "b", "c", "d", "e"] == sorted(wire.sent)


def test_failed_burst_is_sent_one_at_a_time(
    bus: SignalBus, new_model: t.Any, wire: t.Any, boom: ValueError, record: t.Any
) -> None:
    """After a burst that fails for a reason unknown, its signals are sent alone."""
    record(new_model(form="row", burst=True, signalbus_burst_count=3), "a", "bad", "b")
    with pytest.raises(ValueError, match="boom"):
        bus.flush()

    assert ["a", "bad", "b"] == wire.attempts[0]
    assert [["a"], ["b"], ["bad"]] == sorted(wire.attempts[1:])


@pytest.mark.parametrize("method", [*METHODS, "flushordered"])
@pytest.mark.parametrize("burst_count", [1, 2, 5])
def test_single_form_sends_nothing_twice(
    bus: SignalBus,
    new_model: t.Any,
    wire: t.Any,
    boom: ValueError,
    record: t.Any,
    burst_count: int,
    method: str,
) -> None:
    """Sent one by one, no signal is tried twice in a run, whatever fails."""
    record(new_model(signalbus_burst_count=burst_count), "a", "b", "bad", "c", "d")
    with pytest.raises(ValueError, match="boom"):
        getattr(bus, method)()

    attempts = [text for (text,) in wire.attempts]
    assert len(set(attempts)) == len(attempts)


def test_bad_signal_of_a_broker_does_not_stop_the_others(
    bus: SignalBus, new_model: t.Any, new_broker: t.Any, record: t.Any, pending: t.Any
) -> None:
    """What a plugin cannot send is found one at a time, like everything."""
    wire = new_broker("pigeons").wire
    wire.failures["bad"] = ValueError("boom")
    model = new_model(form="pigeons", signalbus_burst_count=4)
    record(model, "a", "bad", "b", "c", "d")
    with pytest.raises(ValueError, match="boom"):
        bus.flush()

    assert ["bad"] == pending(model)
    assert ["a", "b", "c", "d"] == sorted(wire.sent)


@pytest.mark.parametrize("method", [*METHODS, "flushordered"])
def test_other_models_go_out(
    bus: SignalBus,
    new_model: t.Any,
    wire: t.Any,
    boom: ValueError,
    record: t.Any,
    method: str,
) -> None:
    """A model whose signals fail does not stop the other models."""
    for name in ("First", "Second", "Third"):
        record(new_model(name), "bad" if name == "Second" else name)
    with pytest.raises(ValueError, match="boom"):
        getattr(bus, method)()

    assert ["First", "Third"] == sorted(wire.sent)


def test_failed_signal_goes_out_later(
    bus: SignalBus, greeting: SignalModel, wire: t.Any, boom: ValueError, record: t.Any
) -> None:
    """A signal that was kept is sent by a later run."""
    record(greeting, "bad")
    with pytest.raises(ValueError, match="boom"):
        bus.flush()
    wire.failures.clear()

    assert 1 == bus.flush()
    assert ["bad"] == wire.sent


@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("burst", [True, False])
def test_error_names_model_and_primary_key(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    boom: ValueError,
    told: t.Any,
    caplog: pytest.LogCaptureFixture,
    form: str,
    burst: bool,
) -> None:
    """The error that ends a run tells which signal of which model is left."""
    model = new_model(form=form, burst=burst, signalbus_burst_count=2)
    with db.engine.begin() as connection:
        rows = [{"id": 41, "text": "a"}, {"id": 4711, "text": "bad"}]
        connection.execute(sa.insert(model.__table__), rows)
    with pytest.raises(ValueError, match="boom") as caught:
        bus.flush()

    assert boom is caught.value
    assert "Greeting" in told(caught.value)
    assert "4711" in told(caught.value)


@pytest.fixture
def three_failures(
    db: SQLAlchemy, new_model: t.Any, wire: t.Any, record: t.Any
) -> dict[str, ValueError]:
    """Let three signals of two models fail, each for a reason of its own."""
    first, second = new_model("First"), new_model("Second")
    rows = {first: [101, 102], second: [103]}
    reasons = {101: "reason one", 102: "reason two", 103: "reason three"}
    errors = {str(key): ValueError(reason) for key, reason in reasons.items()}
    wire.failures.update(errors)
    with db.engine.begin() as connection:
        for model, keys in rows.items():
            values = [{"id": key, "text": str(key)} for key in keys]
            connection.execute(sa.insert(model.__table__), values)
    return errors


def test_first_error_is_raised_with_the_others(
    bus: SignalBus, three_failures: dict[str, ValueError], wire: t.Any, told: t.Any
) -> None:
    """The first error is raised, and its notes tell all the others."""
    with pytest.raises(ValueError, match="reason") as caught:
        bus.flushmany()

    ((first,), *_) = wire.attempts
    assert three_failures[first] is caught.value
    for key, error in three_failures.items():
        assert f"id={key}" in told(caught.value)
        assert str(error) in told(caught.value)


def test_all_errors_are_logged(
    bus: SignalBus, three_failures: dict[str, t.Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Each reason is logged, with the model and the primary key."""
    with pytest.raises(ValueError, match="reason"):
        bus.flushmany()

    for key, model in [("101", "First"), ("102", "First"), ("103", "Second")]:
        messages = [
            line for line in _complaints(caplog) if f"{model}(id={key})" in line
        ]
        assert [str(three_failures[key])] == [
            line.split("ValueError: ")[1] for line in messages
        ]


def test_no_broker_error_names_all_that_is_needed(
    bus: SignalBus,
    new_model: t.Any,
    new_broker: t.Any,
    wire: t.Any,
    record: t.Any,
    pending: t.Any,
    told: t.Any,
) -> None:
    """Nobody answers: the error names the model, its broker and what is installed."""

    class Pigeons:
        @hookimpl
        def signalbus_send_burst(self) -> None:
            """Never answer."""

    bus.plugin_manager.register(Pigeons(), name="pigeon-post")
    orphan = new_model("Orphan", form="telegraph")
    record(orphan, "a")
    record(new_model("Sibling"), "b")
    with pytest.raises(NoBrokerError) as caught:
        bus.flush()

    assert ["a"] == pending(orphan)
    assert ["b"] == wire.sent
    for word in ("Orphan", "telegraph", "pigeon-post"):
        assert word in told(caught.value)


@pytest.mark.parametrize("method", [*METHODS, "flushordered"])
@pytest.mark.databases
def test_interrupt_ends_the_run_and_keeps_the_burst(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    wire: t.Any,
    record: t.Any,
    pending: t.Any,
    method: str,
) -> None:
    """An interrupt is no failure of a signal: it is raised at once, nothing is lost."""
    model = new_model(form="row", burst=True, signalbus_burst_count=2)
    record(model, "a", "b", "stop", "c", "d")
    wire.failures["stop"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        getattr(bus, method)()

    assert ["stop", "c", "d"] == pending(model)
    assert 0 == db.engine.pool.checkedout()


class Failing:
    """Fails some statements of the database, and counts them."""

    def __init__(self, kind: str, error: Exception, times: int) -> None:
        """Fail the first *times* statements that begin with *kind*."""
        self.kind, self.error, self.times = kind, error, times
        self.seen = 0

    def __call__(
        self, connection: object, cursor: object, text: str, *_: object
    ) -> None:
        """Raise, while there are failures left."""
        if text.lstrip().upper().startswith(self.kind):
            self.seen += 1
            if self.seen <= self.times:
                raise sa.exc.OperationalError(text, {}, self.error)


def _race() -> Exception:
    error = sqlite3.OperationalError("could not serialize access")
    error.sqlstate = "40001"  # type: ignore[attr-defined]
    return error


@pytest.fixture
def fail_statements() -> t.Iterator[t.Callable[..., Failing]]:
    """Fail statements of any engine."""
    failing: list[Failing] = []

    def start(kind: str, times: int, error: Exception | None = None) -> Failing:
        failing.append(Failing(kind, error or _race(), times))
        sa.event.listen(sa.Engine, "before_cursor_execute", failing[-1])
        return failing[-1]

    yield start
    for listener in failing:
        sa.event.remove(sa.Engine, "before_cursor_execute", listener)


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let all waits be over at once, and keep how long they would have been."""
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    return waits


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("method", [*METHODS, "flushordered"])
def test_lost_race_is_run_again(
    bus: SignalBus,
    new_model: t.Any,
    wire: t.Any,
    record: t.Any,
    fail_statements: t.Any,
    no_waiting: list[float],
    form: str,
    method: str,
) -> None:
    """A burst whose transaction loses a race is tried again, after a wait."""
    record(new_model(form=form, burst=True, signalbus_burst_count=2), "a", "b", "c")
    fail_statements("SELECT", times=1)

    assert 3 == getattr(bus, method)()
    assert ["a", "b", "c"] == sorted(wire.sent)
    assert no_waiting


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
def test_lost_race_at_the_delete_is_run_again(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    pending: t.Any,
    fail_statements: t.Any,
    no_waiting: list[float],
    form: str,
) -> None:
    """A burst that cannot be deleted at first is not kept for ever."""
    model = new_model(form=form)
    record(model, "a", "b")
    fail_statements("DELETE", times=2)

    assert 2 == bus.flushmany()
    assert [] == pending(model)


def test_waits_grow(
    bus: SignalBus,
    greeting: SignalModel,
    record: t.Any,
    fail_statements: t.Any,
    no_waiting: list[float],
) -> None:
    """Each wait is longer than the one before it, roughly: they are jittered."""
    record(greeting, "a")
    fail_statements("DELETE", times=4)
    bus.flush()

    assert 3 <= len(no_waiting)
    assert no_waiting[2] > no_waiting[0]


def test_races_are_lost_a_bounded_number_of_times(
    bus: SignalBus,
    greeting: SignalModel,
    record: t.Any,
    pending: t.Any,
    fail_statements: t.Any,
    no_waiting: list[float],
) -> None:
    """In the end the database's error is raised, and the signals stay."""
    record(greeting, "a")
    failing = fail_statements("DELETE", times=10_000)
    with pytest.raises(sa.exc.OperationalError, match="could not serialize"):
        bus.flush()

    assert 1 < failing.seen < 50
    assert ["a"] == pending(greeting)


def test_other_errors_of_the_database_are_not_run_again(
    bus: SignalBus,
    greeting: SignalModel,
    record: t.Any,
    fail_statements: t.Any,
    no_waiting: list[float],
) -> None:
    """An error that will not pass is raised without waiting."""
    record(greeting, "a")
    fail_statements("DELETE", times=10_000, error=sqlite3.OperationalError("disk full"))
    with pytest.raises(sa.exc.OperationalError, match="disk full"):
        bus.flush()

    assert [] == no_waiting


def test_missing_table_does_not_stop_other_models(
    bus: SignalBus, new_model: t.Any, db: SQLAlchemy, wire: t.Any, record: t.Any
) -> None:
    """A model whose table is not there fails alone."""
    first, second = new_model("First"), new_model("Second")
    record(second, "b")
    first.__table__.drop(db.engine)
    with pytest.raises(MissingTableError, match="first"):
        bus.flush()

    assert ["b"] == wire.sent


def test_locked_sqlite_is_waited_for(
    engine_url: str,
    bus: SignalBus,
    greeting: SignalModel,
    wire: t.Any,
    record: t.Any,
    db: SQLAlchemy,
) -> None:
    """A SQLite database that another process writes to is tried again."""
    record(greeting, "a")
    db.engine.dispose()
    sa.event.listen(
        db.engine, "connect", lambda dbapi, _: dbapi.execute("PRAGMA busy_timeout=1")
    )
    writer = sqlite3.connect(sa.make_url(engine_url).database or "")
    writer.execute("BEGIN IMMEDIATE")

    class Patience:
        @hookimpl(tryfirst=True)
        def signalbus_is_transient_error(self, error: BaseException) -> None:
            assert "locked" in str(error)
            writer.rollback()

    bus.plugin_manager.register(Patience())

    assert 1 == bus.flush()
    assert ["a"] == wire.sent
    writer.close()


def _complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage() + str(record.exc_info or "")
        for record in caplog.records
        if record.levelno >= logging.WARNING
    ]
