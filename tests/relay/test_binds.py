"""A relay of an app that has several databases."""

from __future__ import annotations

import typing as t
import uuid

import pytest
from signalbus import MissingTableError
from signalbus_relay import relays
from signalbus_relay._status import Status

if t.TYPE_CHECKING:
    from conftest import Wire
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus


@pytest.fixture
def app(new_app: t.Any, engine_url: str, other_url: str) -> Flask:
    """Give an app with two databases; in the second one, nobody gives a lock up."""
    there = {"url": other_url, "connect_args": {"timeout": 600}}
    return t.cast("Flask", new_app(engine_url, SQLALCHEMY_BINDS={"there": there}))


def test_database_that_hangs_at_the_start_holds_up_no_other(
    app: Flask,
    db: SQLAlchemy,
    run: t.Any,
    new_model: t.Any,
    record: t.Any,
    wire: Wire,
) -> None:
    """Each lane waits for the row of the relay in its own database."""
    here, there = new_model("Here"), new_model("There", __bind_key__="there")
    record(there, "there")
    with app.app_context():
        engine = db.engines["there"]
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN EXCLUSIVE")
        run()
        record(here, "here")
        wire.expect("here")

    wire.expect("there")


@pytest.fixture
def status(app: Flask, bus: SignalBus, app_ctx: object) -> t.Iterator[Status]:
    """Give what a relay says about itself."""
    status = Status(app, bus, uuid.uuid4().hex)
    yield status
    status.end()


def test_models_of_one_name_in_two_databases_are_told_apart(
    bus: SignalBus, new_model: t.Any, status: Status
) -> None:
    """A relay reports both, each in the database that it is in."""
    here = new_model("Parcel", __module__="shop")
    there = new_model("Parcel", __module__="store", __bind_key__="there")
    status.begin([here, there])
    for model in (here, there):
        status.must_be_careful(model)  # waits for the row

    (relay,) = relays(bus)

    assert {"shop.Parcel", "store.Parcel"} == relay.models.keys()


def test_relays_are_seen_in_the_databases_that_can_be_read(
    bus: SignalBus, db: SQLAlchemy, new_model: t.Any, status: Status
) -> None:
    """The caller may take the errors of the others."""
    here, there = new_model("Here"), new_model("There", __bind_key__="there")
    status.begin([here])
    status.must_be_careful(here)
    there.metadata.tables["signalbus_relay"].drop(db.engines["there"])
    errors: list[Exception] = []

    (relay,) = relays(bus, failed=errors.append)

    assert status.relay_id == relay.id
    assert [MissingTableError] == [type(error) for error in errors]
