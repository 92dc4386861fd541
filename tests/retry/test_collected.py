"""What is remembered of a bus does not keep it alive."""

from __future__ import annotations

import gc
import typing as t
import weakref

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus


def test_bus_is_collected(engine_url: str, declared: list[type]) -> None:
    """Also after a flush, which reads entries of its models."""

    def live() -> list[weakref.ref[t.Any]]:
        app = Flask("shop")
        app.config["SQLALCHEMY_DATABASE_URI"] = engine_url
        db = SQLAlchemy(app)
        bus = SignalBus(db)

        class Order(db.Model):  # type: ignore[misc, name-defined]
            id = sa.Column(sa.Integer, primary_key=True)

            def send_signalbus_message(self) -> None:
                """Send nothing."""

        with app.app_context():
            db.create_all()
            db.session.add(Order())
            db.session.commit()
            bus.flush()
            db.engine.dispose()
        return [weakref.ref(each) for each in (app, db, bus)]

    left = live()
    declared.clear()
    gc.collect()

    assert [None, None, None] == [each() for each in left]
