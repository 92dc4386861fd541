"""A bus lives as long as its database, and no longer."""

from __future__ import annotations

import gc
import threading
import typing as t
import weakref

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus import SignalBusMixin
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from signalbus.typing import SignalModel

#: Longer than anything takes here, in seconds.
LONG = 60.0

#: What is left, weakly.
Left: t.TypeAlias = "list[weakref.ref[t.Any]]"


class Database(SignalBusMixin, SQLAlchemy):
    """A database that makes its bus."""


def new_app(url: str) -> Flask:
    """Return an app that no fixture holds."""
    app = Flask("shop")
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    return app


def declare(db: SQLAlchemy, sent: list[str]) -> SignalModel:
    """Declare a signal model."""

    class Order(db.Model):  # type: ignore[misc, name-defined]
        id = sa.Column(sa.Integer, primary_key=True)
        text = sa.Column(sa.String(50))

        def send_signalbus_message(self) -> None:
            sent.append(self.text)

    return Order


def use(app: Flask, db: SQLAlchemy, sent: list[str]) -> None:
    """Commit a signal, flush, and close what is open."""
    order = declare(db, sent)
    bus: SignalBus = app.extensions["signalbus"]
    with app.app_context():
        db.create_all()
        db.session.add(order(text="a"))
        db.session.commit()
        assert bus.drain_autoflush(LONG)
        bus.flush()
        db.engine.dispose()


def threads() -> set[threading.Thread]:
    """Return the threads of autoflush in the background."""
    found = threading.enumerate()
    return {thread for thread in found if thread.name == "signalbus-autoflush"}


@pytest.mark.parametrize("autoflush", [True, False, "background"])
@pytest.mark.parametrize("kind", [SQLAlchemy, Database])
def test_bus_is_collected_with_its_database_and_app(
    engine_url: str,
    autoflush: t.Any,
    kind: type[SQLAlchemy],
    declared: list[type],
) -> None:
    """Nobody holds them any more: not SQLAlchemy's listeners, and no thread."""
    sent: list[str] = []
    before = threads()

    def live() -> Left:
        app = new_app(engine_url)
        db = kind(app)
        bus = db.signalbus if isinstance(db, Database) else SignalBus(db)
        bus.autoflush = autoflush
        use(app, db, sent)
        return [weakref.ref(each) for each in (app, db, bus)]

    left = live()
    declared.clear()
    for thread in threads() - before:
        gc.collect()
        thread.join(LONG)
    gc.collect()

    assert ["a"] == sent
    assert [None, None, None] == [each() for each in left]
    assert set() == threads() - before


def test_bus_that_nobody_names_lives_with_its_database(engine_url: str) -> None:
    """``SignalBus(db)`` is enough, before there is an app, too."""
    sent: list[str] = []
    app, db = new_app(engine_url), SQLAlchemy()
    bus = weakref.ref(SignalBus(db))
    gc.collect()
    db.init_app(app)
    t.cast("SignalBus", bus()).init_app(app)
    gc.collect()
    use(app, db, sent)

    assert ["a"] == sent


def test_bus_outlives_its_apps(engine_url: str) -> None:
    """A database without an app keeps its bus."""
    db = SQLAlchemy()
    bus = weakref.ref(SignalBus(db))
    db.init_app(new_app(engine_url))
    gc.collect()

    assert bus() is not None
    with pytest.raises(RuntimeError, match="already has a signal bus"):
        SignalBus(db)


def test_app_is_collected_before_its_bus(engine_url: str, declared: list[type]) -> None:
    """Suites make an app for each test, and their broker connections must end."""
    db = Database()
    app = new_app(engine_url)
    db.init_app(app)
    use(app, db, [])
    left = weakref.ref(app)
    del app
    declared.clear()
    gc.collect()

    assert left() is None


def test_models_live_as_long_as_their_test(db: SQLAlchemy, bus: SignalBus) -> None:
    """They are not collected by chance, which a test that holds none cannot expect."""
    declare(db, [])
    gc.collect()

    assert ["Order"] == [model.__name__ for model in bus.get_signal_models()]


def test_signals_that_wait_keep_what_sends_them(
    engine_url: str, declared: list[type]
) -> None:
    """What was committed is sent, though nobody holds the app any more."""
    sent: list[str] = []
    before = threads()
    opened = threading.Event()

    class Gate:
        @hookimpl
        def signalbus_held_back(self) -> None:
            assert opened.wait(LONG)

    def live() -> Left:
        app = new_app(engine_url)
        db = SQLAlchemy(app)
        bus = SignalBus(db)
        bus.autoflush = "background"
        bus.plugin_manager.register(Gate())
        order = declare(db, sent)
        with app.app_context():
            db.create_all()
            for text in "ab":
                db.session.add(order(text=text))
                db.session.commit()
        return [weakref.ref(each) for each in (app, db, bus)]

    left = live()
    declared.clear()
    gc.collect()
    (thread,) = threads() - before
    opened.set()
    while thread.is_alive():
        gc.collect()
        thread.join(0.05)
    gc.collect()

    assert ["a", "b"] == sent
    assert [None, None, None] == [each() for each in left]
