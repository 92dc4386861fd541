"""A flush runs at READ COMMITTED, whatever the application uses."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus

LEVELS = ["REPEATABLE READ", "SERIALIZABLE"]


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest) -> str:
    """Give an isolation level that applications use."""
    return str(request.param)


@pytest.fixture
def app(new_app: t.Any, engine_url: str, level: str) -> Flask:
    """Give an app whose engine has that level."""
    options = {"isolation_level": level}
    app: Flask = new_app(engine_url, SQLALCHEMY_ENGINE_OPTIONS=options)
    return app


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_flush_runs_at_read_committed(
    bus: SignalBus,
    new_model: t.Any,
    record: t.Any,
    statements: t.Any,
    form: str,
    method: str,
) -> None:
    """Every statement that locks or deletes signals runs at READ COMMITTED."""
    record(new_model(form=form), "a", "b")
    statements.clear()
    getattr(bus, method)()
    levels = {
        isolation
        for text, isolation in statements
        if "FOR UPDATE" in text or text.startswith("DELETE")
    }

    assert {"READ COMMITTED"} == levels


class EndError(BaseException):
    """Ends a process in the middle of something."""


@pytest.mark.databases("postgresql", "mariadb")
def test_interrupted_commit_is_not_made_up_for(
    bus: SignalBus, db: SQLAlchemy, app_ctx: object, new_model: t.Any, record: t.Any
) -> None:
    """Not even when the connection gets its level back: on MariaDB, that commits."""

    def end(_: sa.Connection) -> None:
        raise EndError

    greeting = new_model()
    record(greeting, "a")
    sa.event.listen(db.engine, "commit", end)
    with pytest.raises(EndError):
        bus.flush()
    sa.event.remove(db.engine, "commit", end)

    assert {greeting: 1} == bus.count_pending([greeting])


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("form", ["instance", "row"])
def test_autoflush_runs_at_read_committed(
    db: SQLAlchemy, new_model: t.Any, statements: t.Any, form: str, level: str
) -> None:
    """The user's transaction keeps its level, and the autoflush has its own."""
    model = new_model(form=form)
    statements.clear()
    db.session.add(model(text="a"))
    db.session.commit()
    levels = {text.split()[0]: isolation for text, isolation in statements}

    assert level == levels["INSERT"]
    assert "READ COMMITTED" == levels["DELETE"]


@pytest.mark.databases("postgresql", "mariadb")
def test_connections_get_their_level_back(
    bus: SignalBus, db: SQLAlchemy, new_model: t.Any, record: t.Any, level: str
) -> None:
    """A connection that a flush gave back has the application's level again."""
    record(new_model(), "a")
    bus.flush()
    with db.engine.connect() as first, db.engine.connect() as second:
        levels = [first.get_isolation_level(), second.get_isolation_level()]

    assert [level, level] == levels


@pytest.mark.databases("postgresql", "mariadb")
def test_side_by_side_no_race_is_lost(
    bus: SignalBus, new_model: t.Any, record: t.Any, background: t.Any, wire: t.Any
) -> None:
    """Flushers side by side meet no serialization failure of their own making."""
    texts = [f"{number:03}" for number in range(200)]
    record(new_model(form="row", signalbus_burst_count=5), *texts)
    flushers = [background(bus.flushmany) for _ in range(3)]

    assert 200 == sum(flusher.result() for flusher in flushers)
    assert texts == sorted(wire.sent)
