"""A broker that is down is probed now and then. When it is back, the backlog drains."""

from __future__ import annotations

import threading
import time
import typing as t

import pytest
import sqlalchemy as sa
from signalbus import BrokerUnavailableError

if t.TYPE_CHECKING:
    from conftest import Running
    from conftest import Wire
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

NewModel: t.TypeAlias = "t.Callable[..., SignalModel]"
Record: t.TypeAlias = "t.Callable[..., None]"
Run: t.TypeAlias = "t.Callable[..., Running]"

#: What a relay says if its end takes more than a moment.
WAITS = "Stopping: waiting up to "


class Outage:
    """Makes a broker unavailable until it is over, and notes when it was tried."""

    def __init__(self) -> None:
        """Begin."""
        self.is_over = threading.Event()
        self.probes: list[float] = []

    def __call__(self, text: str) -> None:
        """Fail, unless it is over."""
        if not self.is_over.is_set():
            self.probes.append(time.monotonic())
            raise BrokerUnavailableError("It is down.")


@pytest.fixture
def outage(wire: Wire) -> Outage:
    """Give an outage of every broker."""
    wire.on_sending = Outage()
    return wire.on_sending


@pytest.fixture
def letter(new_model: NewModel, new_broker: t.Callable[[str], object]) -> SignalModel:
    """Declare a model that a broker sends in bursts."""
    new_broker("post")
    return new_model("Letter", signalbus_broker="post", signalbus_burst_count=100)


def test_a_broker_that_is_down_is_probed_at_growing_intervals(
    run: Run, letter: SignalModel, record: Record, wire: Wire, outage: Outage
) -> None:
    """However often the relay polls; each probe doubles the interval."""
    record(letter, *"abc")
    run(poll=0.02)
    wire.wait_for(lambda: len(outage.probes) >= 4)
    first, second, third, fourth = outage.probes[:4]

    assert second - first >= 0.35
    assert third - second >= 0.7
    assert fourth - third >= 1.5


def test_a_broker_that_was_down_for_long_is_probed_within_four_seconds(
    run: Run, letter: SignalModel, bus: SignalBus
) -> None:
    """A relay's probes delay no commit, unlike those of autoflush."""
    running = run()
    for _ in range(10):
        bus.breakers.record_failure("post")
    in_a_relay = bus.breakers.open()["post"]
    running.stop()
    for _ in range(10):
        bus.breakers.record_failure("post")

    assert 3 < in_a_relay <= 4
    assert 20 < bus.breakers.open()["post"] <= 30


def test_broker_of_another_app_is_no_business_of_the_relay(
    app: Flask,
    new_app: t.Callable[..., Flask],
    db: SQLAlchemy,
    bus: SignalBus,
    run: Run,
    letter: SignalModel,
    record: Record,
    wire: Wire,
) -> None:
    """It may be down for long, have the same name, and be another broker."""
    other = new_app("sqlite://", **app.config)
    db.init_app(other)
    bus.init_app(other)
    with other.app_context(), bus.breakers.probed_every(3600):
        for _ in range(20):
            bus.breakers.record_failure("post")
    record(letter, "a")
    run()
    wire.expect("a")

    assert ["a"] == wire.sent


def test_a_probe_is_one_signal_and_then_the_backlog_goes_out_at_once(
    run: Run, letter: SignalModel, record: Record, wire: Wire, outage: Outage
) -> None:
    """Whatever has been recorded meanwhile, and without waiting for a poll."""
    record(letter, *"abc")
    run(poll=60)
    wire.wait_for(lambda: len(outage.probes) >= 2)
    tried = list(wire.tried)
    record(letter, *"def")
    outage.is_over.set()
    wire.expect(*"abcdef")

    assert {"a"} == set(tried)
    assert list("abcdef") == wire.sent


def test_all_lanes_of_the_broker_drain_when_it_is_back(
    run: Run,
    letter: SignalModel,
    new_model: NewModel,
    record: Record,
    wire: Wire,
    outage: Outage,
) -> None:
    """One of them has probed it, and tells the others."""
    ordered = new_model(
        "Ordered", signalbus_broker="post", signalbus_order_by=(sa.asc("id"),)
    )
    record(letter, "letter")
    record(ordered, "ordered")
    run(poll=60)
    wire.wait_for(lambda: len(outage.probes) >= 3)
    outage.is_over.set()

    wire.expect("letter", "ordered")


def test_another_broker_is_not_delayed(
    run: Run,
    new_model: NewModel,
    record: Record,
    wire: Wire,
) -> None:
    """Nor is a signal of it that comes while the first one is down."""

    def fail(text: str) -> None:
        if text == "down":
            raise BrokerUnavailableError("It is down.")

    wire.on_sending = fail
    down, fine = new_model("Down"), new_model("Fine")
    record(down, "down")
    run()
    wire.wait_for(lambda: "down" in wire.tried)
    record(fine, "fine")

    wire.expect("fine")


def test_an_outage_is_one_line_when_it_begins_and_one_when_it_ends(
    run: Run,
    letter: SignalModel,
    new_model: NewModel,
    record: Record,
    wire: Wire,
    outage: Outage,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """However many models and probes there are."""
    ordered = new_model(
        "Ordered", signalbus_broker="post", signalbus_order_by=(sa.asc("id"),)
    )
    record(letter, "a")
    wire.on_sending = outage
    running = run(poll=0.05)
    wire.wait_for(lambda: len(outage.probes) >= 2)
    record(ordered, "b")
    wire.wait_for(lambda: len(outage.probes) >= 3)
    outage.is_over.set()
    wire.expect("a", "b")
    running.stop()
    lines = [line for line in caplog.messages if WAITS not in line]

    assert 2 == len(lines), lines
    assert "The broker 'post' is unavailable, the signals of Letter stay" in lines[0]
    assert "The broker 'post' is back after" in lines[1]
