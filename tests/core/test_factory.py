"""A bus in an application factory: its app comes later, as for other extensions."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from signalbus import SettingError
from signalbus import SignalBus
from signalbus import SignalBusMixin
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from flask import Flask

USES: dict[str, t.Callable[[SignalBus], object]] = {
    "flush": lambda bus: bus.flush(),
    "flushmany": lambda bus: bus.flushmany(),
    "flushordered": lambda bus: bus.flushordered(),
    "count_pending": lambda bus: bus.count_pending(),
}


@pytest.fixture
def late_db() -> SQLAlchemy:
    """Give a database object that no app knows yet."""
    return SQLAlchemy()


@pytest.fixture
def late_bus(late_db: SQLAlchemy) -> SignalBus:
    """Give a bus that has no app yet."""
    return SignalBus(late_db)


@pytest.fixture
def other_app(new_app: t.Any, other_url: str) -> Flask:
    """Give a second app, on a database of its own."""
    app: Flask = new_app(other_url)
    return app


@pytest.fixture
def order(late_db: SQLAlchemy, late_bus: SignalBus, wire: t.Any) -> t.Any:
    """Declare a signal model before there is any app."""

    class Order(late_db.Model):  # type: ignore[misc, name-defined]
        id = sa.Column(sa.Integer, primary_key=True)
        text = sa.Column(sa.String(50))

        @classmethod
        def send_signalbus_message(cls, signal: t.Any) -> None:
            """Send one."""
            wire.carry(signal)

    return Order


def _record(app: Flask, db: SQLAlchemy, *signals: object) -> None:
    with app.app_context():
        db.create_all()
        db.session.add_all(signals)
        db.session.commit()


@pytest.mark.databases
def test_app_may_come_after_the_models(
    app: Flask, late_db: SQLAlchemy, late_bus: SignalBus, order: t.Any, wire: t.Any
) -> None:
    """``db.init_app(app)``, then ``bus.init_app(app)``: the app has its bus."""
    late_db.init_app(app)
    late_bus.init_app(app)
    _record(app, late_db, order(text="a"))

    assert late_bus is app.extensions["signalbus"]
    assert ["a"] == wire.sent
    assert [order] == late_bus.get_signal_models()


@pytest.mark.parametrize("use", USES)
def test_bus_cannot_be_used_before(late_bus: SignalBus, use: str) -> None:
    """The error says what to do."""
    with pytest.raises(RuntimeError, match=r"bus\.init_app"):
        USES[use](late_bus)


def test_bus_cannot_be_used_in_an_app_that_it_does_not_have(
    app: Flask, late_db: SQLAlchemy, late_bus: SignalBus
) -> None:
    """Where ``bus.init_app`` was forgotten, a flush in the app is an error."""
    late_db.init_app(app)
    with app.app_context(), pytest.raises(RuntimeError, match=r"bus\.init_app"):
        late_bus.flush()


def test_bus_does_not_take_another_app_for_one_that_it_does_not_have(
    app: Flask,
    other_app: Flask,
    late_db: SQLAlchemy,
    late_bus: SignalBus,
    order: t.Any,
    wire: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It would send what that has pending; what was committed would stay, unnoticed."""
    late_db.init_app(app)
    late_bus.init_app(app)
    late_bus.autoflush = False
    _record(app, late_db, order(text="pending"))
    late_bus.autoflush = True
    late_db.init_app(other_app)
    _record(other_app, late_db, order(text="a"))
    with other_app.app_context(), pytest.raises(RuntimeError, match=r"bus\.init_app"):
        late_bus.flush()

    assert [] == wire.sent
    assert ["Signals stay pending after a commit (Order)"] == caplog.messages
    assert "bus.init_app" in caplog.text


def test_bus_works_in_the_context_of_an_app_of_another_database(
    app: Flask, other_app: Flask, late_db: SQLAlchemy, late_bus: SignalBus
) -> None:
    """It has one app, so there is no doubt which is meant."""
    late_db.init_app(app)
    late_bus.init_app(app)
    with app.app_context():
        late_db.create_all()
    with other_app.app_context():
        assert 0 == late_bus.flush()


def test_database_comes_first(app: Flask, late_bus: SignalBus) -> None:
    """An app that the database object does not know is refused, with the remedy."""
    with pytest.raises(RuntimeError, match=r"db\.init_app"):
        late_bus.init_app(app)

    assert "signalbus" not in app.extensions


def test_app_of_another_database_is_refused(
    app: Flask, db: SQLAlchemy, late_bus: SignalBus
) -> None:
    """A bus serves apps of its own database object only."""
    with pytest.raises(RuntimeError, match="init_app"):
        late_bus.init_app(app)

    assert "signalbus" not in app.extensions


def test_second_bus_is_refused(
    app: Flask, late_db: SQLAlchemy, late_bus: SignalBus
) -> None:
    """An app has one bus, whenever the other one comes."""
    other = SignalBus(SQLAlchemy())
    late_db.init_app(app)
    late_bus.init_app(app)
    with pytest.raises(RuntimeError, match="already"):
        other.init_app(app)
    with pytest.raises(RuntimeError, match="already"):
        SignalBus(late_db)

    assert late_bus is app.extensions["signalbus"]


def test_app_may_be_given_twice(
    app: Flask, late_db: SQLAlchemy, late_bus: SignalBus, order: t.Any, wire: t.Any
) -> None:
    """For an app that has this bus, ``init_app`` does nothing."""
    late_db.init_app(app)
    for _ in range(3):
        late_bus.init_app(app)
    _record(app, late_db, order(text="a"))

    assert ["a"] == wire.sent


def test_app_of_before_needs_no_init_app(
    app: Flask, db: SQLAlchemy, bus: SignalBus
) -> None:
    """``SignalBus(db)`` has the app of *db* at once; ``init_app`` does no harm."""
    bus.init_app(app)

    assert bus is app.extensions["signalbus"]


def test_bus_may_have_several_apps(
    app: Flask,
    other_app: Flask,
    late_db: SQLAlchemy,
    late_bus: SignalBus,
    order: t.Any,
    wire: t.Any,
) -> None:
    """Each app's signals are sent from its own database."""
    late_bus.autoflush = False
    for each, text in [(app, "a"), (other_app, "b")]:
        late_db.init_app(each)
        late_bus.init_app(each)
        _record(each, late_db, order(text=text))
    with other_app.app_context():
        late_bus.flush()

    assert ["b"] == wire.sent


class Greeter:
    """Keeps the apps that it prepared."""

    def __init__(self) -> None:
        """Begin with no apps."""
        self.apps: list[tuple[object, object]] = []

    @hookimpl
    def signalbus_init_app(self, bus: SignalBus, app: Flask) -> None:
        """Keep the call."""
        self.apps.append((bus, app))


def test_plugins_prepare_an_app_when_it_comes(
    app: Flask, late_db: SQLAlchemy, late_bus: SignalBus
) -> None:
    """A plugin may be registered before there is any app; it is called once."""
    greeter = Greeter()
    late_bus.plugin_manager.register(greeter)
    before = [*greeter.apps]
    late_db.init_app(app)
    for _ in range(2):
        late_bus.init_app(app)

    assert [] == before
    assert [(late_bus, app)] == greeter.apps


def test_late_plugin_alone_prepares_the_apps_so_far(
    app: Flask, late_db: SQLAlchemy, late_bus: SignalBus
) -> None:
    """Those that were there have prepared them, whatever they call their method."""

    class Renamed:
        def __init__(self) -> None:
            self.apps: list[Flask] = []

        @hookimpl(specname="signalbus_init_app")
        def prepare(self, app: Flask) -> None:
            self.apps.append(app)

    early, late = Renamed(), Renamed()
    late_bus.plugin_manager.register(early)
    late_db.init_app(app)
    late_bus.init_app(app)
    late_bus.plugin_manager.register(late)

    assert ([app], [app]) == (early.apps, late.apps)


def test_late_plugin_may_wrap_the_preparation(
    app: Flask, late_db: SQLAlchemy, late_bus: SignalBus
) -> None:
    """For the apps so far, it wraps nothing."""
    wrapped = []

    class Wrapper:
        @hookimpl(wrapper=True)
        def signalbus_init_app(self, app: Flask) -> t.Generator[None, object, object]:
            wrapped.append(app)
            return (yield)

    late_db.init_app(app)
    late_bus.init_app(app)
    late_bus.plugin_manager.register(Wrapper())

    assert [app] == wrapped


def test_late_plugin_that_refuses_an_app_is_not_registered(
    app: Flask, late_db: SQLAlchemy, late_bus: SignalBus
) -> None:
    """The apps so far have their bus; so it is the plugin that cannot come."""

    class Picky:
        @hookimpl
        def signalbus_init_app(self) -> None:
            raise ValueError("COLOUR is not set.")

    late_db.init_app(app)
    late_bus.init_app(app)
    picky = Picky()
    with pytest.raises(SettingError, match="COLOUR"):
        late_bus.plugin_manager.register(picky)

    assert not late_bus.plugin_manager.is_registered(picky)
    assert late_bus is app.extensions["signalbus"]


def test_blocked_plugin_prepares_nothing(
    app: Flask, late_db: SQLAlchemy, late_bus: SignalBus
) -> None:
    """The plugin manager does not let it in."""
    greeter = Greeter()
    late_db.init_app(app)
    late_bus.init_app(app)
    late_bus.plugin_manager.set_blocked("greeter")

    assert late_bus.plugin_manager.register(greeter, "greeter") is None
    assert [] == greeter.apps


def test_settings_are_checked_when_the_app_comes(
    new_app: t.Any, engine_url: str, late_db: SQLAlchemy, late_bus: SignalBus
) -> None:
    """An invalid setting is an error of ``init_app``."""
    app: Flask = new_app(engine_url, SIGNALBUS_AUTOFLUSH="perhaps")
    late_db.init_app(app)
    with pytest.raises(SettingError, match="SIGNALBUS_AUTOFLUSH"):
        late_bus.init_app(app)


def test_autoflush_may_be_set_before(
    app: Flask, late_db: SQLAlchemy, late_bus: SignalBus, order: t.Any, wire: t.Any
) -> None:
    """What the program sets on the bus holds for the apps that come."""
    late_bus.autoflush = False
    late_db.init_app(app)
    late_bus.init_app(app)
    _record(app, late_db, order(text="a"))

    assert [] == wire.sent


def test_mixin_initializes_its_bus(app: Flask, other_app: Flask) -> None:
    """With the mixin, ``db.init_app`` is all that an app needs."""

    class Database(SignalBusMixin, SQLAlchemy):
        pass

    db = Database()
    with pytest.raises(RuntimeError, match=r"db\.init_app"):
        db.signalbus.flush()
    db.init_app(app)
    db.init_app(other_app)
    db.signalbus.init_app(app)

    assert db.signalbus is app.extensions["signalbus"]
    assert db.signalbus is other_app.extensions["signalbus"]


def test_second_bus_of_a_database_is_refused(
    late_db: SQLAlchemy, late_bus: SignalBus
) -> None:
    """Two buses would both listen to the sessions, before there is any app, too."""
    with pytest.raises(RuntimeError, match="already has a signal bus"):
        SignalBus(late_db)


def test_bus_that_was_refused_leaves_nothing_behind(
    app: Flask, late_db: SQLAlchemy, caplog: pytest.LogCaptureFixture
) -> None:
    """Once the setting is right, the same database and app get their bus."""
    late_db.init_app(app)
    app.config["SIGNALBUS_AUTOFLUSH"] = "perhaps"
    with pytest.raises(SettingError):
        SignalBus(late_db)
    app.config["SIGNALBUS_AUTOFLUSH"] = True

    assert SignalBus(late_db) is app.extensions["signalbus"]


def test_app_that_a_plugin_refused_may_come_again(
    app: Flask, late_db: SQLAlchemy, late_bus: SignalBus
) -> None:
    """An app has its bus when all plugins have accepted it."""

    class Picky:
        @hookimpl
        def signalbus_init_app(self, app: Flask) -> None:
            if "COLOUR" not in app.config:
                raise ValueError("COLOUR is not set.")

    late_bus.plugin_manager.register(Picky())
    late_db.init_app(app)
    with pytest.raises(SettingError, match="COLOUR"):
        late_bus.init_app(app)
    assert "signalbus" not in app.extensions
    app.config["COLOUR"] = "blue"
    late_bus.init_app(app)

    assert late_bus is app.extensions["signalbus"]


def test_commit_before_the_bus_has_its_app_says_what_to_do(
    app: Flask,
    late_db: SQLAlchemy,
    order: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A commit does not fail; the log names the signals, and the remedy."""
    late_db.init_app(app)
    _record(app, late_db, order(text="a"))

    assert "stay pending after a commit (Order)" in caplog.text
    assert "bus.init_app(app) first" in caplog.text


@pytest.mark.parametrize("wrong", [None, "db"])
def test_what_is_not_a_database_is_refused(wrong: t.Any) -> None:
    """The error says what to pass."""
    with pytest.raises(TypeError, match=r"SignalBus\(db\)"):
        SignalBus(wrong)


def test_what_is_not_an_app_is_refused(
    late_db: SQLAlchemy, late_bus: SignalBus
) -> None:
    """The error says what to pass."""
    with pytest.raises(TypeError, match=r"bus\.init_app\(app\)"):
        late_bus.init_app(late_db)  # type: ignore[arg-type]
