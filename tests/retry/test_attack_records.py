"""What one failure has in it does not stop the others from being recorded."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus_retry import RetryLater
from signalbus_retry import failures
from sqlalchemy.dialects import postgresql


class Hurried(RetryLater):
    """It does not say when to try again: it has forgotten its base class."""

    def __init__(self) -> None:
        """Set nothing."""


@pytest.mark.databases
def test_retry_later_without_a_time_is_an_attempt(
    new_model: t.Any, record: t.Any, wire: t.Any, run: t.Any, attempts: t.Any
) -> None:
    """Of its signal; the others of its burst are counted as ever."""
    endless = RetryLater(5)
    endless.seconds = 1e12
    wire.failures = {"a": ValueError("boom"), "b": Hurried(), "c": endless}
    record(new_model(form="partial", signalbus_burst_count=9), "a", "b", "c")
    run()

    assert {1: (1, "waits"), 2: (1, "waits"), 3: (1, "waits")} == attempts()


LATIN = {"postgresql": "client_encoding", "mariadb": "charset"}


@pytest.mark.databases("postgresql", "mariadb")
def test_error_that_the_connection_cannot_encode_is_escaped(
    new_app: t.Any, engine_url: str, database: str
) -> None:
    """Connections need not be able to say everything that an exception says."""
    url = sa.make_url(engine_url).update_query_dict({LATIN[database]: "latin1"})
    app = new_app(url.render_as_string(hide_password=False))
    db = SQLAlchemy(app)
    bus = SignalBus(db)

    class Letter(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)

        def send_signalbus_message(self) -> None:
            raise ValueError("plain" if self.id == 1 else "é 🔥")

    with app.app_context():
        db.create_all()
        db.session.add_all([Letter(id=1), Letter(id=2)])
        db.session.commit()

        assert ["plain", r"\xe9 \U0001f525"] == [
            each.error_text for each in failures(bus)
        ]


@pytest.mark.databases("postgresql")
def test_entries_that_cannot_be_looked_up_stop_no_record(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    execute: t.Any,
    boom: t.Any,
    run: t.Any,
    entries: t.Any,
    clock: t.Any,
) -> None:
    """A key was of another type before; what fails now is recorded all the same."""
    new_model(id=sa.Column(postgresql.INET, primary_key=True))
    execute("INSERT INTO greeting (id, text) VALUES ('10.0.0.1', 'bad')")
    run()
    execute("UPDATE signalbus_failure SET id = 'old', key = '[\"no address\"]'")
    clock.advance(61)
    run()

    assert [1, 1] == [each.attempts for each in entries()]


@pytest.mark.databases
def test_one_connection_is_enough(new_app: t.Any, engine_url: str) -> None:
    """Neither a flush nor its records ever need a second one."""
    pool = {"poolclass": sa.QueuePool, "pool_size": 1, "max_overflow": 0}
    options = {**pool, "pool_timeout": 0.1}
    app = new_app(engine_url, SQLALCHEMY_ENGINE_OPTIONS=options)
    db = SQLAlchemy(app)
    bus = SignalBus(db)

    class Letter(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)

        def send_signalbus_message(self) -> None:
            raise ValueError

    with app.app_context():
        db.create_all()
        db.session.add(Letter(id=1))
        db.session.commit()

        assert [(1,)] == [each.key for each in failures(bus)]
