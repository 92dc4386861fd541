"""Signals may be kept in any of an application's databases."""

from __future__ import annotations

import typing as t

import pytest
from signalbus import hookimpl

if t.TYPE_CHECKING:
    import sqlalchemy as sa
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel


@pytest.fixture
def app(new_app: t.Any, engine_url: str, other_url: str) -> Flask:
    """Give an app with a second database."""
    app: Flask = new_app(engine_url, SQLALCHEMY_BINDS={"other": other_url})
    return app


@pytest.fixture
def here(new_model: t.Any) -> SignalModel:
    """Declare a signal model in the app's first database."""
    return new_model("Here", form="row")


@pytest.fixture
def there(new_model: t.Any) -> SignalModel:
    """Declare a signal model in the app's second database."""
    return new_model("There", form="row", __bind_key__="other")


@pytest.mark.databases
@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_every_database_is_flushed(
    bus: SignalBus, here: t.Any, there: t.Any, wire: t.Any, record: t.Any, method: str
) -> None:
    """A flush sends the signals of all databases, each from its own."""
    record(here, "a", "b")
    record(there, "c")

    assert {here: 2, there: 1} == bus.count_pending()
    assert 3 == getattr(bus, method)()
    assert ["a", "b", "c"] == sorted(wire.sent)
    assert {here: 0, there: 0} == bus.count_pending()


@pytest.mark.databases
def test_one_commit_in_two_databases(
    db: SQLAlchemy, bus: SignalBus, here: t.Any, there: t.Any, wire: t.Any
) -> None:
    """A session that commits in two databases has the signals of both sent."""
    db.session.add_all([here(text="a"), there(text="b")])
    db.session.commit()

    assert ["a", "b"] == sorted(wire.sent)
    assert {here: 0, there: 0} == bus.count_pending()


def test_database_that_fails_does_not_stop_the_other(
    db: SQLAlchemy,
    bus: SignalBus,
    here: t.Any,
    there: t.Any,
    wire: t.Any,
    record: t.Any,
) -> None:
    """When one database has no such table, the other's signals still go out."""
    here.__table__.drop(db.engine)
    record(there, "b")
    with pytest.raises(Exception, match="here"):
        bus.flush()

    assert ["b"] == wire.sent


@pytest.mark.databases
@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_hooks_get_connections_to_the_database_of_the_model(
    db: SQLAlchemy,
    bus: SignalBus,
    here: t.Any,
    there: t.Any,
    record: t.Any,
    method: str,
) -> None:
    """What a plugin looks up, and what it writes, is in the signals' own database."""
    seen = set()

    class Look:
        @hookimpl
        def signalbus_held_back(
            self, model: SignalModel, connection: sa.Connection
        ) -> None:
            seen.add(("held back", model, str(connection.engine.url)))

        @hookimpl
        def signalbus_burst_settled(
            self, model: SignalModel, connection: sa.Connection
        ) -> None:
            seen.add(("settled", model, str(connection.engine.url)))

    bus.plugin_manager.register(Look())
    record(here, "a")
    record(there, "b")
    getattr(bus, method)()

    assert seen == {
        (hook, model, str(db.engines[key].url))
        for hook in ("held back", "settled")
        for model, key in ((here, None), (there, "other"))
    }
