"""How many statements a flush executes: a guard of its speed that no noise disturbs."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel


@pytest.fixture
def executed(db: SQLAlchemy, app_ctx: object) -> Iterator[list[str]]:
    """Give the first words of all statements that reach the database."""
    words: list[str] = []

    def note(connection: object, cursor: object, text: str, *rest: object) -> None:
        words.append(text.split(maxsplit=1)[0])

    sa.event.listen(db.engine, "before_cursor_execute", note)
    yield words
    sa.event.remove(db.engine, "before_cursor_execute", note)


@pytest.fixture
def rows(new_model: t.Any, record: t.Any) -> SignalModel:
    """Give a model of seven pending signals, in row form and bursts of five."""
    model: SignalModel = new_model(form="row", burst=True, signalbus_burst_count=5)
    record(model, *"abcdefg")
    return model


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("form", ["row", "instance"])
def test_burst_takes_two_statements(
    bus: SignalBus, new_model: t.Any, record: t.Any, executed: list[str], form: str
) -> None:
    """However large, a burst is one SELECT and one DELETE."""
    model = new_model(form=form, burst=True, signalbus_burst_count=5)
    record(model, *"abcdefg")
    executed.clear()
    bus.flushmany()

    assert ["SELECT", "DELETE"] * 2 == [word for word in executed if word != "SET"]


@pytest.mark.databases("postgresql")
def test_burst_of_one_row_takes_one_statement(
    bus: SignalBus, new_model: t.Any, record: t.Any, executed: list[str]
) -> None:
    """PostgreSQL takes and deletes a single row at once; the end is looked at twice."""
    record(new_model(form="row"), "a", "b")
    executed.clear()
    bus.flushmany()

    assert ["DELETE"] * 3 + ["SELECT"] == executed


@pytest.mark.databases("postgresql")
def test_autoflush_takes_one_statement(
    db: SQLAlchemy, new_model: t.Any, executed: list[str]
) -> None:
    """What a commit recorded is known by its key, and taken with one statement."""
    model = new_model(form="row")
    db.session.add(model(text="a"))
    db.session.flush()
    executed.clear()
    db.session.commit()

    assert ["DELETE"] == executed


def test_commit_without_signals_costs_nothing(
    db: SQLAlchemy, new_model: t.Any, executed: list[str]
) -> None:
    """A transaction that recorded no signal is followed by no statement."""
    model = new_model(form="row", signalbus_autoflush=False)
    db.session.add(model(text="a"))
    db.session.flush()
    executed.clear()
    db.session.commit()

    assert [] == executed


@pytest.mark.databases("postgresql")
def test_flush_need_not_wait_for_the_disk(
    app: Flask, bus: SignalBus, rows: SignalModel, executed: list[str]
) -> None:
    """With SIGNALBUS_SYNCHRONOUS_COMMIT off, each flush transaction says so first."""
    app.config["SIGNALBUS_SYNCHRONOUS_COMMIT"] = False
    executed.clear()

    assert 7 == bus.flushmany([rows])
    assert ["SET", "SELECT", "DELETE"] * 2 == executed


@pytest.mark.databases("postgresql")
def test_application_always_waits_for_the_disk(
    app: Flask, db: SQLAlchemy, bus: SignalBus, rows: SignalModel
) -> None:
    """The connection that a flush gives back is as durable as before."""
    app.config["SIGNALBUS_SYNCHRONOUS_COMMIT"] = False
    bus.flushmany([rows])

    assert "on" == db.session.scalar(sa.text("SHOW synchronous_commit"))


def _bus_of(app: Flask) -> SignalBus:
    """Make a bus on *app*."""
    import flask_sqlalchemy
    import signalbus

    return signalbus.SignalBus(flask_sqlalchemy.SQLAlchemy(app))
