"""Each sender has a lane of its own, which sends what is there, and rests otherwise."""

from __future__ import annotations

import threading
import time
import typing as t

import pytest
import sqlalchemy as sa
from signalbus_relay import Relay

if t.TYPE_CHECKING:
    from conftest import Running
    from conftest import Wire
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

NewModel: t.TypeAlias = "t.Callable[..., SignalModel]"
#: After how many seconds something that does not happen counts as missing.
BOUND = 60.0

Record: t.TypeAlias = "t.Callable[..., None]"
Run: t.TypeAlias = "t.Callable[..., Running]"
Eventually: t.TypeAlias = "t.Callable[[t.Callable[[], object]], None]"


class Gate:
    """Lets nobody through who says certain words, until it is opened."""

    def __init__(self, *texts: str) -> None:
        """Stop those who say *texts*."""
        self._texts = texts
        self._open = threading.Event()

    def __call__(self, text: str) -> None:
        """Wait, unless *text* is free."""
        if text in self._texts:
            assert self._open.wait(BOUND)

    def open(self) -> None:
        """Let everybody through."""
        self._open.set()


@pytest.mark.databases
def test_what_is_pending_and_what_comes_is_sent(
    run: Run,
    new_model: NewModel,
    record: Record,
    wire: Wire,
    pending: t.Callable[[], int],
    eventually: Eventually,
) -> None:
    """On every database, by polling alone."""
    letter = new_model("Letter")
    record(letter, "a", "b")
    running = run()
    wire.expect("a", "b")
    record(letter, "c")
    wire.expect("c")
    eventually(lambda: 0 == pending())

    assert ["a", "b", "c"] == wire.sent
    assert 0 == running.stop()
    assert 3 == running.relay.sent


def test_nothing_is_sent_before_the_start_is_announced(
    app: Flask, new_model: NewModel, record: Record, wire: Wire
) -> None:
    """Whatever senders print comes after the line about the relay. It is healthy."""
    record(new_model("Letter"), "a")
    relay = Relay(app)
    is_tried = threading.Event()
    wire.on_sending = lambda _: is_tried.set()
    before: list[str] = []
    conditions: list[tuple[bool, str]] = []

    def announce(line: str) -> None:
        is_tried.wait(0.5)
        before.extend(wire.tried)
        is_well, report = relay._report()  # noqa: SLF001 as the endpoint does
        conditions.append((is_well, report["lanes"]["Letter"]["state"]))

    thread = threading.Thread(target=relay.run, args=[announce])
    thread.start()
    wire.expect("a")
    relay.stop()
    thread.join(BOUND)

    assert [] == before
    assert [(True, "waiting")] == conditions


@pytest.mark.databases("postgresql", "mariadb")
def test_a_slow_sender_delays_no_other(
    run: Run, new_model: NewModel, record: Record, wire: Wire
) -> None:
    """While one lane sends, the others go on."""
    gate = wire.on_sending = Gate("slow")
    slow, fast = new_model("Slow"), new_model("Fast")
    record(slow, "slow")
    run()
    wire.wait_for(lambda: "slow" in wire.tried)
    record(fast, "fast")
    wire.expect("fast")

    assert ["fast"] == wire.sent
    gate.open()


def test_models_of_one_broker_share_a_lane(
    run: Run, new_model: NewModel, new_broker: t.Callable[[str], object]
) -> None:
    """A model with an order has its own, and so has one that sends by itself."""
    new_broker("post")
    new_model("Letter", signalbus_broker="post")
    new_model("Parcel", signalbus_broker="post")
    new_model("Ordered", signalbus_broker="post", signalbus_order_by=(sa.asc("id"),))
    new_model("Alone")

    assert ["Relay of shop: 4 models in 3 lanes; polls every 0.2 s."] == run().lines


@pytest.mark.databases("postgresql")
def test_concurrency_is_the_number_of_bursts_at_a_time(
    run: Run, new_model: NewModel, record: Record, wire: Wire
) -> None:
    """Several threads share the signals of a lane, none of which is sent twice."""
    texts = [str(number) for number in range(20)]
    barrier = threading.Barrier(3)
    wire.on_sending = lambda text: text in texts[:3] and barrier.wait(BOUND)
    record(new_model("Letter"), *texts)
    run(concurrency=3)
    wire.expect(*texts)

    assert sorted(texts) == sorted(wire.sent)


def test_sqlite_lets_one_flusher_in(
    run: Run, new_model: NewModel, record: Record, wire: Wire
) -> None:
    """More threads would only wait for each other."""
    letter = new_model("Letter")
    run(concurrency=3)
    record(letter, "a")
    wire.expect("a")
    names = [thread.name for thread in threading.enumerate()]

    assert 1 == names.count("signalbus-relay Letter")


@pytest.mark.databases("postgresql", "mariadb")
def test_an_order_is_kept_whatever_the_concurrency(
    run: Run, new_model: NewModel, record: Record, wire: Wire
) -> None:
    """The model has one thread, which sends in the order that it declares."""
    model = new_model("Letter", signalbus_order_by=(sa.desc("text"),))
    record(model, "b", "c", "a")
    run(concurrency=3)
    wire.expect("a", "b", "c")

    assert ["c", "b", "a"] == wire.sent


def test_models_that_appear_later_are_sent(
    run: Run, new_model: NewModel, record: Record, wire: Wire
) -> None:
    """They get their lane at the next poll."""
    new_model("Letter")
    run()
    record(new_model("Parcel"), "late")

    wire.expect("late")


def test_only_the_models_that_were_asked_for_are_sent(
    run: Run, new_model: NewModel, record: Record, wire: Wire
) -> None:
    """By name; those that appear later, too."""
    letter, parcel = new_model("Letter"), new_model("Parcel")
    record(parcel, "not asked for")
    record(letter, "excluded")
    run(names=["Letter", "Late"], exclude=["Letter"])
    record(new_model("Late"), "late")
    wire.expect("late")

    assert ["late"] == wire.sent


@pytest.mark.parametrize(
    "options",
    [{"exclude": ["Letter", "Parcel"]}, {"names": ["Late"]}],
    ids=["excluded", "not named"],
)
def test_a_relay_with_nothing_to_send_says_so(
    run: Run,
    new_model: NewModel,
    caplog: pytest.LogCaptureFixture,
    options: dict[str, t.Any],
) -> None:
    """It is probably a mistake. It goes on, since models may appear later."""
    new_model("Letter")
    new_model("Parcel")
    relay = run(**options)
    (line,) = caplog.messages

    assert line.startswith("The relay of shop has nothing to send: ")
    assert "leave out all signal models of the app (Letter, Parcel)." in line
    assert "0 models in 0 lanes" in relay.lines[0]


def test_a_relay_of_an_app_without_signal_models_says_so(
    run: Run, bus: SignalBus, caplog: pytest.LogCaptureFixture
) -> None:
    """They may be in a module that nobody has imported."""
    run()
    (line,) = caplog.messages

    assert "has nothing to send: the app has no signal models." in line


def test_a_relay_with_something_to_send_says_nothing(
    run: Run, new_model: NewModel, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever else it leaves out."""
    new_model("Letter")
    new_model("Parcel")
    run(exclude=["Letter"])

    assert [] == caplog.messages


@pytest.mark.databases("postgresql")
def test_an_idle_relay_looks_once_per_poll_and_model(
    run: Run, new_model: NewModel, db: SQLAlchemy, app: Flask, eventually: Eventually
) -> None:
    """With one statement, in no transaction, however many threads it has."""
    statements: list[str] = []
    transactions: list[object] = []
    new_model("Letter")
    new_model("Parcel", signalbus_order_by=(sa.asc("id"),))
    with app.app_context():
        engine = db.engine

    @sa.event.listens_for(engine, "before_cursor_execute")
    def keep(connection: sa.Connection, cursor: t.Any, text: str, *_: t.Any) -> None:
        if "signalbus_relay" in text:  # a heartbeat
            return
        statements.append(text)
        if not cursor.connection.autocommit:
            transactions.append(text)

    poll = 0.2
    relay = run(poll=poll, concurrency=4).relay
    eventually(lambda: {"default": "listening"} == relay.listeners)
    statements.clear()
    eventually(lambda: 16 <= len(statements))  # by now, the intervals are the longest
    statements.clear()
    transactions.clear()
    cpu, begun = time.process_time(), time.monotonic()
    eventually(lambda: 20 <= len(statements))
    cpu, seconds = time.process_time() - cpu, time.monotonic() - begun

    assert len(statements) <= 2 * (seconds / poll + 1)
    assert {"SELECT letter.id", "SELECT parcel.id"} == {
        text.split(" \n")[0] for text in statements
    }
    assert [] == transactions
    assert cpu < 0.15 * seconds  # at five times the usual poll, on a busy machine


@pytest.mark.parametrize("tables", [None, {"letter"}, {"letter", "parcel"}])
def test_what_is_announced_is_sent_at_once(
    run: Run,
    new_model: NewModel,
    record: Record,
    wire: Wire,
    eventually: Eventually,
    tables: set[str] | None,
) -> None:
    """Without a look, whatever the interval: all models, or those of some tables."""
    letter = new_model("Letter")
    lanes = run(poll=60).relay._lanes  # noqa: SLF001 as the listener does
    (lane,) = lanes
    polling = lane._flows[letter].polling  # noqa: SLF001
    eventually(lambda: polling.due_in > 0.5)
    polling.sent_nothing(1000, is_announced=False)
    record(letter, "a")
    lanes.wake("elsewhere", tables)
    lanes.wake(None, {"other"})

    assert [] == wire.tried

    lanes.wake(None, tables)
    wire.expect("a")


def test_a_thread_that_breaks_down_ends_the_relay(
    run: Run, new_model: NewModel, bus: SignalBus, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever supervises it starts a new one; the log has the reason."""
    new_model("Letter")
    running = run(poll=0.05)
    bus.breakers.open = lambda: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    running.thread.join(BOUND)

    assert 1 == running.status
    assert "A thread of the lane Letter has ended." in caplog.text
    assert "ZeroDivisionError" in caplog.text


def test_a_sender_that_exits_is_a_sender_that_fails(
    run: Run, new_model: NewModel, record: Record, wire: Wire
) -> None:
    """``sys.exit`` ends no lane."""

    def leave_once(text: str) -> None:
        if wire.tried == ["a"]:
            raise SystemExit(3)

    wire.on_sending = leave_once
    record(new_model("Letter"), "a")
    running = run()
    wire.expect("a")

    assert 0 == running.stop()


@pytest.mark.parametrize(
    "option", [{"poll": 0}, {"concurrency": 0}, {"grace": -1}, {"poll": float("nan")}]
)
def test_options_must_make_sense(
    run: Run, new_model: NewModel, option: dict[str, float]
) -> None:
    """The error names the option and the least number."""
    (name,) = option

    with pytest.raises(ValueError, match=f"^{name} is"):
        run(**option)


def test_an_app_without_a_bus_is_refused(app: Flask, run: Run) -> None:
    """The error says what to do."""
    with pytest.raises(RuntimeError, match="SignalBus"):
        run()
