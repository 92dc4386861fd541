"""A relay of an app that has several databases."""

from __future__ import annotations

import typing as t

import pytest

if t.TYPE_CHECKING:
    from conftest import Wire
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy


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
