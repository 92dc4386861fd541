"""Anybody may see which relays are running, and what they do."""

from __future__ import annotations

import datetime as dt
import json
import os
import typing as t
import uuid

import pytest
import sqlalchemy as sa
from signalbus import MissingTableError
from signalbus_relay import relays
from signalbus_relay._status import Status

if t.TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

pytestmark = pytest.mark.databases

AddRelay: t.TypeAlias = "t.Callable[..., None]"


@pytest.fixture
def parcel(new_model: t.Callable[..., SignalModel], app_ctx: object) -> SignalModel:
    """Declare a signal model, and create its table and ours."""
    return new_model("Parcel")


@pytest.fixture
def add_relay(db: SQLAlchemy, parcel: SignalModel) -> AddRelay:
    """Insert the row of a relay on another host, silent for some seconds."""
    table = db.metadata.tables["signalbus_relay"]

    def insert(seconds: float, **models: dict[str, t.Any]) -> None:
        time = dt.datetime.now(dt.timezone.utc) - dt.timedelta(seconds=seconds)
        if db.engine.dialect.name != "postgresql":
            time = time.replace(tzinfo=None)
        row = {
            "id": uuid.uuid4().hex,
            "host": "elsewhere",
            "process": 4711,
            "started_at": time,
            "heartbeat_at": time,
            "models": json.dumps(models),
        }
        with db.engine.begin() as connection:
            connection.execute(sa.insert(table), [row])

    return insert


def test_no_relay_is_running(bus: SignalBus, parcel: SignalModel) -> None:
    """An empty table is an empty list."""
    assert [] == relays(bus)


def test_a_relay_is_alive_until_it_has_been_silent_for_long(
    bus: SignalBus, add_relay: AddRelay
) -> None:
    """One on another host can be known by its heartbeat alone; the last comes first."""
    add_relay(200)
    add_relay(20)

    alive, gone = relays(bus)

    assert (True, False) == (alive.is_alive, gone.is_alive)
    assert 20 == pytest.approx(alive.silence.total_seconds(), abs=15)
    assert ("elsewhere", 4711) == (alive.host, alive.process)


def test_a_relay_tells_what_it_has_sent(bus: SignalBus, add_relay: AddRelay) -> None:
    """By model, as of its last heartbeat."""
    add_relay(1, Parcel={"sent": 7, "failed": 2, "last_error": "ValueError: boom"})

    (relay,) = relays(bus)
    report = relay.models["Parcel"]

    assert (7, 2, "ValueError: boom") == (report.sent, report.failed, report.last_error)
    assert not report.is_down


def test_a_relay_of_this_process_is_alive_and_tells_that_a_broker_is_down(
    app: Flask, bus: SignalBus, parcel: SignalModel
) -> None:
    """Its circuit breaker is open when the heartbeat is written."""
    status = Status(app, bus, uuid.uuid4().hex)
    bus.breakers.record_failure(bus.declaration(parcel).sender)
    status.begin([parcel])
    status.must_be_careful(parcel)
    try:
        (relay,) = relays(bus)
    finally:
        status.end()

    assert relay.is_alive
    assert os.getpid() == relay.process
    assert relay.models["Parcel"].is_down


def test_a_missing_table_is_named(
    bus: SignalBus, db: SQLAlchemy, parcel: SignalModel
) -> None:
    """The error says what to run."""
    db.metadata.tables["signalbus_relay"].drop(db.engine)

    with pytest.raises(MissingTableError, match="signalbus_relay is missing"):
        relays(bus)
