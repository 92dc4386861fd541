"""How a bus comes to its app, and an app to its bus."""

from __future__ import annotations

import gc
import typing as t

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus import SignalBusMixin
from signalbus import hookimpl
from signalbus.exceptions import SettingError


class CustomSQLAlchemy(SignalBusMixin, SQLAlchemy):
    """The database object of an application factory."""


@pytest.fixture
def custom() -> CustomSQLAlchemy:
    """Give a database object that no app knows yet."""
    return CustomSQLAlchemy()


@pytest.fixture
def other_app(new_app: t.Any, other_url: str) -> Flask:
    """Give a second app, on a database of its own."""
    app: Flask = new_app(other_url)
    return app


@pytest.fixture
def greeting(custom: CustomSQLAlchemy, wire: t.Any) -> t.Any:
    """Declare a signal model of the factory's database object."""

    class Greeting(custom.Model):  # type: ignore[misc, name-defined]
        id = sa.Column(sa.Integer, primary_key=True)
        text = sa.Column(sa.String(50))

        @classmethod
        def send_signalbus_message(cls, signal: t.Any) -> None:
            """Send one."""
            wire.carry(signal)

    return Greeting


def _record(app: Flask, db: SQLAlchemy, *signals: object) -> None:
    with app.app_context():
        db.create_all()
        db.session.add_all(signals)
        db.session.commit()


def test_bus_is_found_by_its_app(app: Flask, db: SQLAlchemy, bus: SignalBus) -> None:
    """The app knows its bus, and the bus its database object."""
    assert bus is app.extensions["signalbus"]
    assert db is bus.db


def test_a_bus_without_an_app_cannot_be_used() -> None:
    """A bus may get its app later. What is done before is an error with a remedy."""
    bus = SignalBus(SQLAlchemy())

    with pytest.raises(RuntimeError, match=r"bus\.init_app"):
        bus.flush()


def test_second_bus_on_an_app_is_refused(db: SQLAlchemy, bus: SignalBus) -> None:
    """An app has one bus."""
    with pytest.raises(RuntimeError, match="already"):
        SignalBus(db)


def test_second_bus_beside_the_mixin_is_refused(app: Flask) -> None:
    """An app whose database object has a bus gets no other."""
    custom = CustomSQLAlchemy(app)
    with pytest.raises(RuntimeError, match="already"):
        SignalBus(custom)


def test_bus_on_an_app_that_came_later(app: Flask) -> None:
    """A database object that has got its app by ``init_app`` can have a bus."""
    db = SQLAlchemy()
    db.init_app(app)

    assert SignalBus(db) is app.extensions["signalbus"]


def test_mixin_with_an_app(app: Flask) -> None:
    """The mixin gives the database object a bus, which is the app's."""
    custom = CustomSQLAlchemy(app)

    assert isinstance(custom.signalbus, SignalBus)
    assert custom.signalbus is app.extensions["signalbus"]
    assert custom is custom.signalbus.db


def test_mixin_in_a_factory(
    app: Flask, custom: CustomSQLAlchemy, greeting: t.Any, wire: t.Any
) -> None:
    """Models may be declared before there is any app."""
    custom.init_app(app)
    _record(app, custom, greeting(text="a"))

    assert ["a"] == wire.sent
    assert [greeting] == custom.signalbus.get_signal_models()


def test_mixin_keeps_the_arguments_of_the_database_object(app: Flask) -> None:
    """What SQLAlchemy takes, the mixin passes on."""
    custom = CustomSQLAlchemy(app, session_options={"expire_on_commit": False})
    with app.app_context():
        assert custom.session().expire_on_commit is False


def test_several_apps_share_the_mixin(
    app: Flask, other_app: Flask, custom: CustomSQLAlchemy, greeting: t.Any, wire: t.Any
) -> None:
    """Each app's signals are sent from its own database."""
    custom.init_app(app)
    custom.init_app(other_app)
    _record(app, custom, greeting(text="a"))
    _record(other_app, custom, greeting(text="b"))

    assert ["a", "b"] == wire.sent


class Doorman:
    """A plugin that notes the apps it is given, and may refuse them."""

    def __init__(self) -> None:
        """Begin with no app."""
        self.refuses = False
        self.apps: list[Flask] = []

    @hookimpl
    def signalbus_init_app(self, app: Flask) -> None:
        """Note the app."""
        self.apps.append(app)
        if self.refuses:
            raise ValueError


def test_plugin_that_comes_late_gets_no_app_that_was_refused(
    app: Flask, other_app: Flask, custom: CustomSQLAlchemy
) -> None:
    """Only those that the bus has."""
    manager = custom.signalbus.plugin_manager
    custom.init_app(other_app)
    strict, late = Doorman(), Doorman()
    manager.register(strict)
    strict.refuses = True
    with pytest.raises(SettingError):
        custom.init_app(app)
    manager.register(late)

    assert ([other_app, app], [other_app]) == (strict.apps, late.apps)


def test_flush_is_for_the_app_at_hand(
    app: Flask, other_app: Flask, custom: CustomSQLAlchemy, greeting: t.Any, wire: t.Any
) -> None:
    """With several apps, a flush sends the signals of the current one."""
    custom.init_app(app)
    custom.init_app(other_app)
    custom.signalbus.autoflush = False
    _record(app, custom, greeting(text="a"))
    _record(other_app, custom, greeting(text="b"))
    with other_app.app_context():
        assert 1 == custom.signalbus.flush()

    assert ["b"] == wire.sent


def test_each_app_has_its_own_setting(
    new_app: t.Any,
    engine_url: str,
    other_app: Flask,
    custom: CustomSQLAlchemy,
    greeting: t.Any,
    wire: t.Any,
) -> None:
    """``SIGNALBUS_AUTOFLUSH`` holds for the app that it is set on."""
    quiet: Flask = new_app(engine_url, SIGNALBUS_AUTOFLUSH=False)
    custom.init_app(quiet)
    custom.init_app(other_app)
    _record(quiet, custom, greeting(text="a"))
    _record(other_app, custom, greeting(text="b"))

    assert ["b"] == wire.sent


@pytest.fixture
def outage_in_one_app(
    app: Flask, other_app: Flask, custom: CustomSQLAlchemy, greeting: t.Any, wire: t.Any
) -> None:
    """Let a commit of the app, one of two, find that the broker is down."""
    custom.init_app(app)
    custom.init_app(other_app)
    wire.cut = ConnectionRefusedError("no route")
    _record(app, custom, greeting(text="a"))


@pytest.mark.usefixtures("outage_in_one_app")
def test_each_app_has_its_own_circuit_breakers(
    app: Flask, other_app: Flask, custom: CustomSQLAlchemy, greeting: t.Any, wire: t.Any
) -> None:
    """A broker of one app that is down may have the name of one that is not."""
    wire.cut = None
    _record(other_app, custom, greeting(text="b"))
    bus = custom.signalbus

    assert ["b"] == wire.sent
    with app.app_context():
        assert [greeting] == list(bus.breakers.open())
    with other_app.app_context():
        assert [] == list(bus.breakers.open())
    assert [greeting] == list(bus.breakers.open()), "where no app is at hand, of all"
    assert not bus.breakers.is_closed(greeting)


def test_broker_that_keeps_a_commit_waiting_is_the_app_s_own(
    app: Flask, other_app: Flask, custom: CustomSQLAlchemy, clock: t.Any
) -> None:
    """Commits of the other app do not leave their signals because of that."""
    sent = []

    class Slow(custom.Model):  # type: ignore[misc, name-defined]
        id = sa.Column(sa.Integer, primary_key=True)
        text = sa.Column(sa.String(50))

        def send_signalbus_message(self) -> None:
            """Send one; the other app commits one meanwhile."""
            if self.text == "slow":
                clock.advance(1)
                _record(other_app, custom, Slow(text="quick"))
            sent.append(self.text)

    custom.init_app(app)
    custom.init_app(other_app)
    _record(app, custom, Slow(text="slow"))

    assert ["quick", "slow"] == sent


@pytest.mark.usefixtures("outage_in_one_app")
def test_all_breakers_are_reset_at_once(
    app: Flask, other_app: Flask, custom: CustomSQLAlchemy, greeting: t.Any
) -> None:
    """Also those of other apps than the one at hand."""
    _record(other_app, custom, greeting(text="b"))
    with app.app_context():
        custom.signalbus.reset_breakers()

    assert {} == custom.signalbus.breakers.open()


def test_breakers_of_an_app_go_with_it(
    app: Flask, custom: CustomSQLAlchemy, greeting: t.Any
) -> None:
    """Each test of a suite may make an app, for a bus that stays."""
    custom.init_app(app)
    breakers = custom.signalbus.breakers
    gone = Flask("gone")
    gone.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    custom.init_app(gone)
    with gone.app_context():
        breakers.record_failure(greeting)
        custom.engine.dispose()
    del gone
    gc.collect()

    assert {} == breakers.open()
    assert breakers.is_closed(greeting)


@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_flush_outside_of_an_app_context(
    app: Flask, custom: CustomSQLAlchemy, greeting: t.Any, wire: t.Any, method: str
) -> None:
    """With one app, a flush needs no app context."""
    custom.init_app(app)
    custom.signalbus.autoflush = False
    _record(app, custom, greeting(text="a"))

    assert 1 == getattr(custom.signalbus, method)()


def test_several_apps_want_an_app_context(
    app: Flask, other_app: Flask, custom: CustomSQLAlchemy, greeting: t.Any
) -> None:
    """With several apps, a flush outside of any context cannot know which."""
    custom.init_app(app)
    custom.init_app(other_app)
    with pytest.raises(RuntimeError, match="context"):
        custom.signalbus.flush()
