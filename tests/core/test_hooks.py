"""Every hook: when it is called, with what, and what its failures do."""

from __future__ import annotations

import inspect
import logging
import re
import sys
import typing as t
from pathlib import Path

import flask
import pluggy
import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from flask_sqlalchemy import SQLAlchemy
from signalbus import NoBrokerError
from signalbus import PartialDeliveryError
from signalbus import SignalBus
from signalbus import SignalBusError
from signalbus import SignalBusMixin
from signalbus import SignalModelError
from signalbus import hookimpl
from signalbus import hookspecs

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus.typing import SignalModel

TESTS = Path(__file__).parent

PLUGIN = """
from signalbus import hookimpl
import sys, types, pluggy

calls = []
spec = types.ModuleType("pigeon_specs")

@pluggy.HookspecMarker("signalbus")
def signalbus_pigeon_landed(pigeon):
    "Tell that a pigeon has landed."

spec.signalbus_pigeon_landed = signalbus_pigeon_landed

@hookimpl
def signalbus_addhooks(plugin_manager):
    plugin_manager.add_hookspecs(spec)
    calls.append(plugin_manager)

{more}
"""


@pytest.fixture
def install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> t.Iterator[t.Callable[[str], None]]:
    """Install a distribution with a plugin module ``pigeon_post``."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(more: str) -> None:
        (tmp_path / "pigeon_post.py").write_text(PLUGIN.replace("{more}", more))
        metadata = tmp_path / "pigeon_post-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Name: pigeon-post\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text("[signalbus]\npigeon=pigeon_post\n")

    yield write
    sys.modules.pop("pigeon_post", None)


def test_every_hook_has_its_test() -> None:
    """No hook comes without a test that shows when it is called."""
    hooks = {
        name
        for name, _ in inspect.getmembers(hookspecs, inspect.isfunction)
        if name.startswith("signalbus_")
    }
    sources = "".join(path.read_text() for path in TESTS.glob("test_*.py"))
    tests = set(re.findall(r"^def test_hook_(\w+)\(", sources, re.MULTILINE))

    assert set() == hooks - tests


def test_hook_signalbus_addhooks(
    install: t.Any, new_app: t.Any, engine_url: str
) -> None:
    """An installed plugin adds hooks of its own, once for every bus."""
    install(
        """
landed = []

@hookimpl
def signalbus_pigeon_landed(pigeon):
    landed.append(pigeon)
"""
    )
    buses = [SignalBus(SQLAlchemy(new_app(engine_url))) for _ in range(2)]
    plugin = sys.modules["pigeon_post"]
    buses[0].plugin_manager.hook.signalbus_pigeon_landed(pigeon="Cher Ami")

    assert [bus.plugin_manager for bus in buses] == plugin.calls
    assert ["Cher Ami"] == plugin.landed


def test_unknown_hook_of_a_plugin_is_refused(
    install: t.Any, new_app: t.Any, engine_url: str
) -> None:
    """A plugin with a hook that nobody specified is refused, and named."""
    install("@hookimpl\ndef signalbus_misspelt(bus):\n    pass\n")
    with pytest.raises(pluggy.PluginValidationError, match="signalbus_misspelt"):
        SignalBus(SQLAlchemy(new_app(engine_url)))


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("sys.exit()", "SystemExit"),
        ("sys.exit('no license')", "SystemExit: no license"),
        ("import nonexistent", "ModuleNotFoundError: No module named 'nonexistent'"),
    ],
)
def test_plugin_that_cannot_be_imported_is_named(
    install: t.Any, new_app: t.Any, engine_url: str, statement: str, reason: str
) -> None:
    """Whatever ends its import is an error that names it; the app does not end."""
    install(statement)
    expected = (
        f"The signalbus plugin 'pigeon' (pigeon_post) cannot be loaded: {reason}."
    )
    with pytest.raises(SignalBusError, match=f"^{re.escape(expected)} "):
        SignalBus(SQLAlchemy(new_app(engine_url)))


def test_disabled_plugin_is_not_imported(
    install: t.Any,
    new_app: t.Any,
    engine_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A broken plugin is switched off by the environment, without uninstalling it."""
    install("sys.exit()")
    monkeypatch.setenv("SIGNALBUS_DISABLED_PLUGINS", "retry, pigeon")
    bus = SignalBus(SQLAlchemy(new_app(engine_url)))

    assert not bus.plugin_manager.has_plugin("pigeon")


def test_interrupt_while_a_plugin_is_imported_is_an_interrupt(
    install: t.Any, new_app: t.Any, engine_url: str
) -> None:
    """Whoever presses Ctrl-C means the app, and not the plugin."""
    install("raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        SignalBus(SQLAlchemy(new_app(engine_url)))


def test_buses_share_no_plugins(bus: SignalBus, new_app: t.Any, other_url: str) -> None:
    """A plugin that is registered with one bus is unknown to another."""
    other = SignalBus(SQLAlchemy(new_app(other_url)))
    bus.plugin_manager.register(object(), name="mine")

    assert not other.plugin_manager.has_plugin("mine")


class InitApp:
    """Keeps the apps it was called for, and whether there was an app context."""

    def __init__(self) -> None:
        """Begin with no calls."""
        self.calls: list[tuple[object, object, bool]] = []

    @hookimpl
    def signalbus_init_app(self, bus: SignalBus, app: Flask) -> None:
        """Keep the call."""
        self.calls.append((bus, app, flask.has_app_context()))


def test_hook_signalbus_init_app(bus: SignalBus, app: Flask) -> None:
    """A plugin hears of each app once, outside of any app context."""
    plugin = InitApp()
    bus.plugin_manager.register(plugin)

    assert [(bus, app, False)] == plugin.calls


def test_hook_signalbus_init_app_has_the_configuration(
    install: t.Any, new_app: t.Any, engine_url: str
) -> None:
    """The app's configuration is there; what the hook raises is raised."""
    install(
        """
@hookimpl
def signalbus_init_app(bus, app):
    raise LookupError(app.config["PIGEON"])
"""
    )
    with pytest.raises(LookupError, match="Cher Ami"):
        SignalBus(SQLAlchemy(new_app(engine_url, PIGEON="Cher Ami")))


def test_hook_signalbus_signal_models(bus: SignalBus, new_model: t.Any) -> None:
    """The answers are joined: their order is kept, and duplicates are dropped."""
    first, second, third = new_model("First"), new_model("Second"), new_model("Third")

    class Preferences:
        @hookimpl
        def signalbus_signal_models(self, bus: SignalBus) -> list[SignalModel]:
            return [third, second, third]

    bus.plugin_manager.register(Preferences())

    assert [third, second, first] == bus.get_signal_models()


def test_hook_signalbus_signal_models_may_answer_nothing(
    bus: SignalBus, greeting: SignalModel
) -> None:
    """A plugin that knows of no models answers an empty list, or ``None``."""

    class Ignorant:
        @hookimpl
        def signalbus_signal_models(self) -> None:
            """Answer nothing."""

    bus.plugin_manager.register(Ignorant())

    assert [greeting] == bus.get_signal_models()


class Configures:
    """Keeps the models that were configured, and gives a burst count to all."""

    def __init__(self) -> None:
        """Begin with no models."""
        self.models: list[t.Any] = []

    @hookimpl
    def signalbus_models_configured(self, bus: SignalBus, models: list[t.Any]) -> None:
        """Keep *models*, and set what they lack."""
        self.models = list(models)
        for model in models:
            if getattr(model, "signalbus_broker", None) == "pigeons":
                model.signalbus_burst_count = 4


def test_hook_signalbus_models_configured(
    bus: SignalBus, db: SQLAlchemy, new_model: t.Any
) -> None:
    """After mappers are configured, a plugin sees all models, of all sorts."""
    plugin = Configures()
    bus.plugin_manager.register(plugin)
    greeting = new_model()

    class Customer(db.Model):
        id = db.Column(db.Integer, primary_key=True)

    sa_orm.configure_mappers()

    assert {greeting, Customer} == set(plugin.models)


def test_hook_signalbus_models_configured_again(
    bus: SignalBus, new_model: t.Any
) -> None:
    """When more models come, the hook is called with all of them again."""
    plugin = Configures()
    bus.plugin_manager.register(plugin)
    first = new_model("First")
    sa_orm.configure_mappers()
    second = new_model("Second")
    sa_orm.configure_mappers()

    assert {first, second} == set(plugin.models)


def test_hook_signalbus_models_configured_may_set_defaults(
    bus: SignalBus, new_model: t.Any, new_broker: t.Any, record: t.Any
) -> None:
    """A broker plugin may set the burst count that it finds good."""
    broker = new_broker("pigeons")
    bus.plugin_manager.register(Configures())
    model = new_model(form="pigeons")
    record(model, *"abcdef")
    bus.flush()

    assert [4, 2] == [len(texts) for texts in broker.wire.attempts]


def test_hook_signalbus_models_configured_sees_its_own_models_only(
    bus: SignalBus, greeting: SignalModel, new_app: t.Any, other_url: str
) -> None:
    """A bus tells its plugins of the models of its own database."""
    plugin = Configures()
    bus.plugin_manager.register(plugin)
    other_db = SQLAlchemy(new_app(other_url))
    SignalBus(other_db)

    class Other(other_db.Model):
        id = sa.Column(sa.Integer, primary_key=True)

    sa_orm.configure_mappers()

    assert Other not in plugin.models


class Refuses:
    """Refuses all models."""

    @hookimpl
    def signalbus_models_configured(self, models: list[t.Any]) -> None:
        """Raise."""
        raise SignalModelError(f"{models} cannot be sent")


def test_refused_models_are_logged_once_and_raised_always(
    bus: SignalBus,
    new_model: t.Any,
    new_app: t.Any,
    other_url: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The mappers of another database do not bring up again what was refused."""
    bus.plugin_manager.register(Refuses())
    greeting = new_model()
    other_db = SQLAlchemy(new_app(other_url))
    sa_orm.configure_mappers()

    class Other(other_db.Model):
        id = sa.Column(sa.Integer, primary_key=True)

    sa_orm.configure_mappers()

    assert [f"A plugin rejected the models: [{greeting}] cannot be sent"] == [
        message for message in caplog.messages if str(greeting) in message
    ]
    for _ in range(2):
        with pytest.raises(SignalModelError, match="Greeting"):
            bus.get_signal_models()


def test_hook_signalbus_model_attributes(
    bus: SignalBus, new_model: t.Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Attributes that a plugin names are no typos, and others may be typos of them."""

    class Pigeons:
        @hookimpl
        def signalbus_model_attributes(self) -> tuple[str, ...]:
            return ("signalbus_loft", "signalbus_feed")

    bus.plugin_manager.register(Pigeons())
    right = new_model("Right", signalbus_loft="Paris")
    wrong = new_model("Wrong", signalbus_lofft="Paris")
    sa_orm.configure_mappers()

    (warning,) = caplog.messages
    assert right.__name__ not in warning
    assert f"{wrong.__name__} has an attribute 'signalbus_lofft'" in warning
    assert warning.endswith("Did you mean 'signalbus_loft'?")


def test_hook_signalbus_settings(
    new_app: t.Any, engine_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Settings that a plugin names are no typos, and others may be typos of them."""

    class Pigeons:
        @hookimpl
        def signalbus_settings(self) -> tuple[str, ...]:
            return ("SIGNALBUS_PIGEON_LOFT", "SIGNALBUS_PIGEON_FEED")

    class Database(SignalBusMixin, SQLAlchemy):
        pass

    db = Database()
    db.signalbus.plugin_manager.register(Pigeons())
    settings = {"SIGNALBUS_PIGEON_LOFT": "a", "SIGNALBUS_PIGEON_FED": "b"}
    db.init_app(new_app(engine_url, **settings))

    (warning,) = caplog.messages
    assert "'SIGNALBUS_PIGEON_FED'" in warning
    assert warning.endswith("Did you mean 'SIGNALBUS_PIGEON_FEED'?")


class Broker:
    """Answers for the models that name it, and looks around meanwhile."""

    def __init__(self, answer: object, look: t.Callable[[], object]) -> None:
        """Give *answer* to every burst, after a *look* at the world."""
        self.answer = answer
        self.look = look
        self.calls: list[tuple[object, object, list[str], object]] = []

    @hookimpl
    def signalbus_send_burst(
        self, bus: SignalBus, model: SignalModel, signals: t.Sequence[t.Any]
    ) -> t.Any:
        """Keep the call."""
        texts = [signals[number].text for number in range(len(signals))]
        self.calls.append((bus, model, texts, self.look()))
        return self.answer


@pytest.mark.databases("postgresql", "mariadb")
def test_hook_signalbus_send_burst(
    bus: SignalBus, new_model: t.Any, record: t.Any, held: t.Any, db: SQLAlchemy
) -> None:
    """A broker gets each burst once, while the locks on its rows are held."""
    model = new_model(form="pigeons", signalbus_burst_count=2)

    def free_rows() -> list[str]:
        query = sa.select(model.__table__.c.text).with_for_update(skip_locked=True)
        with db.engine.connect() as connection:
            return sorted(connection.scalars(query))

    broker = Broker(True, free_rows)
    bus.plugin_manager.register(broker)
    record(model, "a", "b", "c")

    assert 3 == bus.flushmany()
    assert [
        (bus, model, ["a", "b"], ["c"]),
        (bus, model, ["c"], []),
    ] == broker.calls


@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_hook_signalbus_send_burst_is_called_in_an_app_context(
    bus: SignalBus, app: Flask, new_model: t.Any, record: t.Any, method: str
) -> None:
    """A broker can rely on ``current_app``."""
    broker = Broker(True, lambda: flask.current_app.name)
    bus.plugin_manager.register(broker)
    record(new_model(form="pigeons"), "a")
    getattr(bus, method)()

    assert [app.name] == [look for *_, look in broker.calls]


def test_hook_signalbus_send_burst_asks_until_somebody_answers(
    bus: SignalBus, new_model: t.Any, record: t.Any
) -> None:
    """``None`` means "not mine": the next plugin is asked, in whatever order."""
    brokers = [Broker(None, list), Broker(True, list), Broker(None, list)]
    for broker in brokers:
        bus.plugin_manager.register(broker)
    record(new_model(form="pigeons"), "a")

    assert 1 == bus.flush()
    assert 1 == len(brokers[1].calls)


@pytest.mark.parametrize("answer", [False, 0, "yes", 1, object()])
def test_hook_signalbus_send_burst_confirms_with_true_alone(
    bus: SignalBus, new_model: t.Any, record: t.Any, pending: t.Any, answer: object
) -> None:
    """An answer that is neither ``True`` nor ``None`` confirms nothing."""
    bus.plugin_manager.register(Broker(answer, list))
    model = new_model("Greeting", form="pigeons")
    record(model, "a")
    with pytest.raises(Exception, match=r"."):
        bus.flush()

    assert ["a"] == pending(model)


@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_greedy_plugin_cannot_take_a_model_that_sends_itself(
    bus: SignalBus,
    new_model: t.Any,
    wire: t.Any,
    record: t.Any,
    form: str,
    early: bool,
    method: str,
) -> None:
    """A model with send methods of its own goes to no plugin, however registered."""
    taken = []

    class Greedy:
        @hookimpl(tryfirst=early, trylast=not early)
        def signalbus_send_burst(self, model: SignalModel) -> bool:
            taken.append(model)
            return True

    bus.plugin_manager.register(Greedy())
    record(new_model(form=form), "a")
    getattr(bus, method)()

    assert ["a"] == wire.sent
    assert [] == taken


def test_wrapper_of_signalbus_send_burst_sees_every_burst(
    bus: SignalBus, new_model: t.Any, new_broker: t.Any, record: t.Any
) -> None:
    """A wrapper is around every burst, whoever sends it."""
    seen = []

    class Wrapper:
        @hookimpl(wrapper=True)
        def signalbus_send_burst(
            self, model: SignalModel, signals: t.Sequence[t.Any]
        ) -> t.Generator[None, object, object]:
            seen.append((model.__name__, len(signals)))
            return (yield)

    bus.plugin_manager.register(Wrapper())
    new_broker("pigeons")
    record(new_model("Own", signalbus_burst_count=2), "a", "b")
    record(new_model("Theirs", form="pigeons", signalbus_burst_count=2), "c", "d")
    bus.flush()

    assert [("Own", 2), ("Theirs", 2)] == sorted(seen)


class Judge:
    """Says which errors are transient."""

    def __init__(self, answer: bool | None) -> None:
        """Give *answer* to every error."""
        self.answer = answer
        self.errors: list[BaseException] = []

    @hookimpl
    def signalbus_is_transient_error(self, error: BaseException) -> bool | None:
        """Keep the error."""
        self.errors.append(error)
        return self.answer


@pytest.fixture
def fail_delete() -> t.Iterator[t.Callable[[str], list[str]]]:
    """Let the first DELETE fail with a message."""
    listeners = []

    def start(message: str) -> list[str]:
        deletes: list[str] = []

        def fail(connection: object, cursor: object, text: str, *rest: object) -> None:
            if text.startswith("DELETE"):
                deletes.append(text)
                if len(deletes) == 1:
                    raise sa.exc.OperationalError(text, {}, Exception(message))

        listeners.append(fail)
        sa.event.listen(sa.Engine, "before_cursor_execute", fail)
        return deletes

    yield start
    for listener in listeners:
        sa.event.remove(sa.Engine, "before_cursor_execute", listener)


def test_hook_signalbus_is_transient_error(
    bus: SignalBus, greeting: SignalModel, record: t.Any, fail_delete: t.Any
) -> None:
    """A plugin that answers ``True`` has the burst tried again."""
    judge = Judge(True)
    bus.plugin_manager.register(judge)
    record(greeting, "a")
    deletes = fail_delete("a strange error")

    assert 1 == bus.flush()
    assert 2 == len(deletes)
    assert "a strange error" in str(judge.errors[0])


@pytest.mark.parametrize(
    ("answer", "message"), [(False, "database is locked"), (None, "a strange error")]
)
def test_hook_signalbus_is_transient_error_may_forbid(
    bus: SignalBus,
    greeting: SignalModel,
    record: t.Any,
    pending: t.Any,
    fail_delete: t.Any,
    answer: bool | None,
    message: str,
) -> None:
    """``False`` beats what the core thinks, and ``None`` leaves it to the core."""
    bus.plugin_manager.register(Judge(answer))
    record(greeting, "a")
    fail_delete(message)
    with pytest.raises(sa.exc.OperationalError, match=message):
        bus.flush()

    assert ["a"] == pending(greeting)


def test_hook_signalbus_is_transient_error_is_not_asked_about_brokers(
    bus: SignalBus, greeting: SignalModel, record: t.Any, wire: t.Any
) -> None:
    """Errors of senders are no errors of the database."""
    judge = Judge(True)
    bus.plugin_manager.register(judge)
    record(greeting, "bad")
    wire.failures["bad"] = ValueError("boom")
    with pytest.raises(ValueError, match="boom"):
        bus.flush()

    assert [] == judge.errors


def test_hook_signalbus_is_transient_error_is_not_asked_about_models(
    bus: SignalBus, new_model: t.Any, record: t.Any
) -> None:
    """That nobody sends a model is no error of the database either."""
    judge = Judge(True)
    bus.plugin_manager.register(judge)
    record(new_model(form="nobody"), "a")
    with pytest.raises(NoBrokerError, match="nobody"):
        bus.flush()

    assert [] == judge.errors


class StripeError(Exception):
    """An error of somebody's library."""


class Expert:
    """Says which errors of senders tell that a broker is unavailable."""

    def __init__(self, answer: bool | None) -> None:
        """Give *answer* to every error."""
        self.answer = answer
        self.errors: list[BaseException] = []

    @hookimpl
    def signalbus_is_unavailable_error(self, error: BaseException) -> bool | None:
        """Keep the error."""
        self.errors.append(error)
        return self.answer


@pytest.mark.parametrize("burst", [True, False])
def test_hook_signalbus_is_unavailable_error(
    bus: SignalBus, new_model: t.Any, record: t.Any, wire: t.Any, burst: bool
) -> None:
    """A plugin that answers ``True`` has the broker left alone."""
    bus.plugin_manager.register(Expert(True))
    record(new_model(burst=burst, signalbus_burst_count=2), "a", "b", "c")
    wire.cut = StripeError()
    with pytest.raises(StripeError):
        bus.flush()

    assert 1 == len(wire.attempts)


@pytest.mark.parametrize(
    ("answer", "error", "attempts"),
    [(False, ConnectionError(), 3), (None, ConnectionError(), 1), (None, OSError(), 3)],
)
def test_hook_signalbus_is_unavailable_error_may_deny_it(
    bus: SignalBus,
    greeting: SignalModel,
    record: t.Any,
    wire: t.Any,
    answer: bool | None,
    error: Exception,
    attempts: int,
) -> None:
    """``False`` beats what the core thinks, and ``None`` leaves it to the core."""
    bus.plugin_manager.register(Expert(answer))
    record(greeting, "a", "b", "c")
    wire.cut = error
    with pytest.raises(type(error)):
        bus.flush()

    assert attempts == len(wire.attempts)


def test_hook_signalbus_is_unavailable_error_is_asked_about_partial_failures(
    bus: SignalBus, new_model: t.Any, record: t.Any, wire: t.Any
) -> None:
    """Each failure of a burst may tell that the broker went away."""
    expert = Expert(None)
    bus.plugin_manager.register(expert)
    record(new_model(burst=True, signalbus_burst_count=3), "a", "b", "c")
    reasons = {1: ValueError("boom"), 2: StripeError()}
    wire.cut = PartialDeliveryError(reasons)
    with pytest.raises(ValueError, match="boom"):
        bus.flush()

    assert list(reasons.values()) == expert.errors


class Watchman:
    """Keeps what it is told of brokers."""

    def __init__(self) -> None:
        """Begin with nothing heard."""
        self.heard: list[tuple[t.Any, ...]] = []

    @hookimpl
    def signalbus_broker_down(
        self, bus: SignalBus, broker: str, error: BaseException
    ) -> None:
        """Keep the bad news, and be confused by it."""
        self.heard.append(("down", bus, broker, error))
        raise LookupError("deaf")

    @hookimpl
    def signalbus_broker_up(self, bus: SignalBus, broker: str, seconds: float) -> None:
        """Keep the good news, and be confused by it."""
        self.heard.append(("up", bus, broker, int(seconds)))
        raise LookupError("deaf")


@pytest.fixture
def watchman(bus: SignalBus) -> Watchman:
    """Register a watchman."""
    watchman = Watchman()
    bus.plugin_manager.register(watchman)
    return watchman


def test_hook_signalbus_broker_down(
    bus: SignalBus,
    new_model: t.Any,
    new_broker: t.Any,
    record: t.Any,
    watchman: Watchman,
) -> None:
    """When its circuit breaker opens, a broker's name is told, with the error, once."""
    wire = new_broker("pigeons").wire
    wire.cut = ConnectionError("reset")
    record(new_model(form="pigeons"), "a")
    for _ in range(3):
        with pytest.raises(ConnectionError):
            bus.flush()

    assert [("down", bus, "pigeons", wire.cut)] == watchman.heard


def test_hook_signalbus_broker_down_by_autoflush(
    bus: SignalBus,
    db: SQLAlchemy,
    greeting: SignalModel,
    wire: t.Any,
    watchman: Watchman,
) -> None:
    """A commit tells, too; a model that sends by itself gives its own name."""
    wire.cut = ConnectionError("reset")
    for _ in range(3):
        db.session.add(greeting(text="a"))
        db.session.commit()

    assert [("down", bus, "Greeting", wire.cut)] == watchman.heard


def test_hook_signalbus_broker_up(
    bus: SignalBus,
    greeting: SignalModel,
    record: t.Any,
    wire: t.Any,
    watchman: Watchman,
    clock: t.Any,
) -> None:
    """When it closes, the seconds are told that it was open, once."""
    record(greeting, "a", "b")
    wire.cut = ConnectionError("reset")
    with pytest.raises(ConnectionError):
        bus.flush()
    clock.advance(100)
    wire.cut = None
    bus.flush()

    assert [("up", bus, "Greeting", 100)] == watchman.heard[1:]


def test_hook_signalbus_broker_up_after_a_reset(
    bus: SignalBus,
    greeting: SignalModel,
    record: t.Any,
    wire: t.Any,
    watchman: Watchman,
) -> None:
    """A breaker that is closed by hand is closed."""
    record(greeting, "a")
    wire.cut = ConnectionError("reset")
    with pytest.raises(ConnectionError):
        bus.flush()
    bus.reset_breakers()

    assert [("up", bus, "Greeting", 0)] == watchman.heard[1:]


class Witness:
    """Keeps what it is told of bursts, and raises what it was given."""

    def __init__(self, look: t.Callable[[SignalModel], object] = str) -> None:
        """Begin with nothing heard; *look* at the model when told something."""
        self.sent: list[t.Any] = []
        self.failed: list[t.Any] = []
        self.error: BaseException | None = None
        self.look = look

    @hookimpl
    def signalbus_burst_sent(
        self, bus: SignalBus, model: SignalModel, count: int
    ) -> None:
        """Keep the good news."""
        self.sent.append((bus, model, count, self.look(model)))
        if self.error:
            raise self.error

    @hookimpl
    def signalbus_burst_failed(
        self, bus: SignalBus, model: SignalModel, error: BaseException
    ) -> None:
        """Keep the bad news."""
        self.failed.append((bus, model, error, self.look(model)))
        if self.error:
            raise self.error


@pytest.fixture
def witness(bus: SignalBus, pending: t.Any) -> Witness:
    """Register a witness that looks, from outside, at what is pending."""
    witness = Witness(pending)
    bus.plugin_manager.register(witness)
    return witness


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
def test_hook_signalbus_burst_sent(
    bus: SignalBus, new_model: t.Any, record: t.Any, witness: Witness, form: str
) -> None:
    """After each commit, when the rows are gone for everybody, the count is told."""
    model = new_model(form=form, signalbus_burst_count=2, signalbus_order_by=())
    record(model, "a", "b", "c")
    bus.flushmany()

    assert [(bus, model, 2, ["c"]), (bus, model, 1, [])] == witness.sent
    assert [] == witness.failed


def test_hook_signalbus_burst_sent_by_autoflush(
    db: SQLAlchemy, greeting: SignalModel, witness: Witness
) -> None:
    """Autoflush tells what it has sent too."""
    db.session.add(greeting(text="a"))
    db.session.commit()

    assert [1] == [count for _, _, count, _ in witness.sent]


def test_hook_signalbus_burst_sent_counts_what_was_confirmed(
    bus: SignalBus, new_model: t.Any, record: t.Any, wire: t.Any, witness: Witness
) -> None:
    """Of a burst that was sent in part, the confirmed signals are counted."""
    record(new_model(signalbus_burst_count=3), "a", "bad", "b")
    wire.failures["bad"] = ValueError("boom")
    with pytest.raises(ValueError, match="boom"):
        bus.flush()

    assert 2 == sum(count for _, _, count, _ in witness.sent)


@pytest.mark.databases
def test_hook_signalbus_burst_failed(
    bus: SignalBus, greeting: SignalModel, record: t.Any, wire: t.Any, witness: Witness
) -> None:
    """After the rollback, a failure is told, with what is to blame."""
    record(greeting, "bad")
    wire.failures["bad"] = ValueError("boom")
    with pytest.raises(ValueError, match="boom"):
        bus.flush()

    assert [(bus, greeting, wire.failures["bad"], ["bad"])] == witness.failed
    assert [] == witness.sent


def test_hook_signalbus_burst_failed_may_repeat(
    bus: SignalBus, greeting: SignalModel, record: t.Any, wire: t.Any, witness: Witness
) -> None:
    """Each run that fails tells so."""
    record(greeting, "bad")
    wire.failures["bad"] = ValueError("boom")
    for _ in range(2):
        with pytest.raises(ValueError, match="boom"):
            bus.flush()

    assert 2 == len(witness.failed)


@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_exception_in_burst_sent_is_logged(
    bus: SignalBus,
    greeting: SignalModel,
    record: t.Any,
    witness: Witness,
    caplog: pytest.LogCaptureFixture,
    method: str,
) -> None:
    """What a hook raises after the commit is logged; the run goes on."""
    witness.error = LookupError("deaf")
    record(greeting, "a", "b")

    assert 2 == getattr(bus, method)()
    assert 2 == len(witness.sent)
    assert "deaf" in caplog.text
    assert logging.ERROR == caplog.records[0].levelno


def test_exception_in_burst_failed_is_logged(
    bus: SignalBus,
    greeting: SignalModel,
    record: t.Any,
    wire: t.Any,
    witness: Witness,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What a hook raises after a rollback does not hide the failure itself."""
    witness.error = LookupError("deaf")
    record(greeting, "bad", "a")
    wire.failures["bad"] = ValueError("boom")
    with pytest.raises(ValueError, match="boom"):
        bus.flush()

    assert ["a"] == wire.sent
    assert "deaf" in caplog.text


def test_exception_in_a_hook_never_fails_a_commit(
    db: SQLAlchemy, greeting: SignalModel, witness: Witness, wire: t.Any
) -> None:
    """Autoflush raises nothing, whatever plugins do."""
    witness.error = LookupError("deaf")
    db.session.add_all([greeting(text="a"), greeting(text="b")])
    db.session.commit()

    assert ["a", "b"] == sorted(wire.sent)


def test_exception_in_one_hook_does_not_stop_the_others(
    bus: SignalBus, greeting: SignalModel, record: t.Any
) -> None:
    """Every plugin is told, whatever the others do."""
    witnesses = [Witness(), Witness(), Witness()]
    for witness in witnesses:
        witness.error = LookupError("deaf")
        bus.plugin_manager.register(witness)
    record(greeting, "a")
    bus.flush()

    assert [1, 1, 1] == [len(witness.sent) for witness in witnesses]


@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_interrupt_in_a_hook_ends_the_run_between_bursts(
    bus: SignalBus,
    greeting: SignalModel,
    record: t.Any,
    wire: t.Any,
    pending: t.Any,
    witness: Witness,
    method: str,
) -> None:
    """An interrupt while a hook is told ends the run; what was sent is deleted."""
    witness.error = KeyboardInterrupt()
    record(greeting, "a", "b", "c")
    with pytest.raises(KeyboardInterrupt):
        getattr(bus, method)()

    assert ["a"] == wire.sent
    assert ["b", "c"] == pending(greeting)


def test_misspelt_hook_is_refused_at_registration(bus: SignalBus) -> None:
    """A plugin that nobody would ever call is an error, and is not registered."""

    class Misspelt:
        @hookimpl
        def signalbus_burst_snet(self) -> None:
            """React to nothing."""

    plugin = Misspelt()
    with pytest.raises(pluggy.PluginValidationError, match="signalbus_burst_snet"):
        bus.plugin_manager.register(plugin)

    assert not bus.plugin_manager.is_registered(plugin)


def test_plugin_that_fails_is_named(
    bus: SignalBus, greeting: SignalModel, record: t.Any, caplog: t.Any
) -> None:
    """By its own name, or that of its class."""

    class Broken:
        @hookimpl
        def signalbus_burst_sent(self) -> None:
            raise ValueError

    named = Broken()
    named.name = "mine"  # type: ignore[attr-defined]
    bus.plugin_manager.register(Broken())
    bus.plugin_manager.register(named)
    record(greeting, "a")
    bus.flush()

    messages = [each.getMessage() for each in caplog.records]
    assert [
        "The plugin 'mine' failed in signalbus_burst_sent.",
        "The plugin 'Broken' failed in signalbus_burst_sent.",
    ] == messages
