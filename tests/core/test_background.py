"""Autoflush in the background: a commit hands over, and a thread sends."""

from __future__ import annotations

import threading
import typing as t

import flask
import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from signalbus import BrokerUnavailableError
from signalbus import SignalBus
from signalbus import hookimpl
from signalbus.stopping import StopToken

if t.TYPE_CHECKING:
    from signalbus.typing import SignalModel

pytestmark = pytest.mark.usefixtures("in_background")

#: Longer than anything takes here, in seconds.
LONG = 60.0

#: How many keys are held at most.
LIMIT = 10_000


class Gate:
    """Stops whoever sends before a model, outside any transaction, while closed."""

    def __init__(self) -> None:
        """Begin with an open gate."""
        self.reached = threading.Event()
        self._opened = threading.Event()
        self._opened.set()

    def close(self) -> None:
        """Let nobody pass."""
        self.reached.clear()
        self._opened.clear()

    def open(self) -> None:
        """Let everybody pass."""
        self._opened.set()

    @hookimpl
    def signalbus_held_back(self) -> None:
        """Wait until the gate is open."""
        self.reached.set()
        assert self._opened.wait(LONG)


@pytest.fixture
def in_background(bus: SignalBus) -> t.Iterator[None]:
    """Leave autoflush to the background, and let it finish."""
    bus.autoflush = "background"
    yield
    assert bus.drain_autoflush(LONG)


@pytest.fixture
def gate(bus: SignalBus, in_background: None) -> t.Iterator[Gate]:
    """Give a gate in front of all that is sent."""
    gate = Gate()
    bus.plugin_manager.register(gate)
    yield gate
    gate.open()


@pytest.fixture
def commit(db: SQLAlchemy) -> t.Callable[..., None]:
    """Record signals in a transaction of their own with ``commit(model, *texts)``."""

    def record_and_commit(model: SignalModel, *texts: str) -> None:
        db.session.add_all([model(text=text) for text in texts])
        db.session.commit()

    return record_and_commit


@pytest.mark.databases
def test_commit_does_not_wait(
    bus: SignalBus,
    greeting: SignalModel,
    commit: t.Any,
    gate: Gate,
    wire: t.Any,
    pending: t.Any,
) -> None:
    """The commit returns; the signal is sent later, by another thread."""
    gate.close()
    commit(greeting, "a")
    assert gate.reached.wait(LONG)

    assert [] == wire.sent
    gate.open()
    assert bus.drain_autoflush(LONG)
    assert ["a"] == wire.sent
    assert [] == pending(greeting)


@pytest.mark.databases
@pytest.mark.parametrize("form", ["instance", "row"])
def test_order_of_commits_is_kept(
    bus: SignalBus, new_model: t.Any, commit: t.Any, wire: t.Any, form: str
) -> None:
    """The signals of a model are sent in the order in which they were committed."""
    model, texts = new_model(form=form), [f"{number:02}" for number in range(50)]
    for first, second in zip(texts[::2], texts[1::2], strict=True):
        commit(model, first, second)
    assert bus.drain_autoflush(LONG)

    assert texts == wire.sent


@pytest.mark.databases
def test_each_model_has_an_order_of_its_own(
    bus: SignalBus, new_model: t.Any, commit: t.Any, gate: Gate, wire: t.Any
) -> None:
    """What is sent at once goes model by model, each in the order of its commits."""
    zebra, ape = new_model("Zebra"), new_model("Ape")
    gate.close()
    commit(zebra, "first")
    assert gate.reached.wait(LONG)
    for model, text in [(zebra, "z1"), (ape, "a1"), (zebra, "z2"), (ape, "a2")]:
        commit(model, text)
    gate.open()
    assert bus.drain_autoflush(LONG)

    assert ["first", "z1", "z2", "a1", "a2"] == wire.sent


@pytest.mark.databases
def test_bursts_are_filled_with_what_many_commits_recorded(
    bus: SignalBus, new_model: t.Any, commit: t.Any, gate: Gate, wire: t.Any
) -> None:
    """What is committed while a burst is sent makes the next burst."""
    model = new_model(burst=True, signalbus_burst_count=3)
    gate.close()
    commit(model, "a")
    assert gate.reached.wait(LONG)
    for text in "bcde":
        commit(model, text)
    gate.open()
    assert bus.drain_autoflush(LONG)

    assert [["a"], ["b", "c", "d"], ["e"]] == wire.attempts


@pytest.mark.databases
def test_many_threads_commit(
    bus: SignalBus,
    new_model: t.Any,
    background: t.Any,
    commit: t.Any,
    wire: t.Any,
    pending: t.Any,
    database: str,
) -> None:
    """Each signal is sent exactly once, and none is left."""
    model = new_model(burst=True, form="row", signalbus_burst_count=100)
    count = 25 if database == "sqlite" else 200  # it lets in one writer at a time
    texts = [[f"{thread}-{number}" for number in range(count)] for thread in range(8)]

    def work(mine: list[str]) -> None:
        for text in mine:
            commit(model, text)

    for future in [background(work, mine) for mine in texts]:
        future.result()
    assert bus.drain_autoflush(LONG)

    assert sorted(text for mine in texts for text in mine) == sorted(wire.sent)
    assert [] == pending(model)
    for mine in texts:
        assert mine == [text for text in wire.sent if text in mine]


@pytest.mark.databases
def test_what_others_have_sent_is_not_sent_again(
    bus: SignalBus, greeting: SignalModel, commit: t.Any, gate: Gate, wire: t.Any
) -> None:
    """A flush may come first."""
    gate.close()
    commit(greeting, "a")
    assert gate.reached.wait(LONG)
    gate.open()
    bus.flush()
    assert bus.drain_autoflush(LONG)

    assert ["a"] == wire.sent


def test_model_may_opt_out(
    bus: SignalBus, new_model: t.Any, db: SQLAlchemy, wire: t.Any, pending: t.Any
) -> None:
    """A model with ``signalbus_autoflush = False`` waits for a flush."""
    manual = new_model("Manual", signalbus_autoflush=False)
    automatic = new_model("Automatic")
    db.session.add_all([manual(text="m"), automatic(text="a")])
    db.session.commit()
    assert bus.drain_autoflush(LONG)

    assert ["a"] == wire.sent
    assert ["m"] == pending(manual)


def test_senders_are_called_in_an_app_context_of_a_daemon_thread(
    bus: SignalBus, new_model: t.Any, commit: t.Any, app: flask.Flask
) -> None:
    """The context is one of the app in which the signal was committed."""
    found = []

    def send(self: object) -> None:
        thread = threading.current_thread()
        found.append((flask.current_app.name, thread.name, thread.daemon))

    commit(new_model(send_signalbus_message=send), "a")
    assert bus.drain_autoflush(LONG)

    assert [(app.name, "signalbus-autoflush", True)] == found


def test_one_thread_sends_all(bus: SignalBus, new_model: t.Any, commit: t.Any) -> None:
    """However many models and commits there are, a bus has one thread."""
    found = set()

    def send(self: object) -> None:
        found.add(threading.get_ident())

    models = [new_model(name, send_signalbus_message=send) for name in ("A", "B")]
    for model in models * 3:
        commit(model, "a")
        assert bus.drain_autoflush(LONG)

    assert 1 == len(found)
    assert threading.get_ident() not in found


def test_plugins_come_first(
    bus: SignalBus, greeting: SignalModel, commit: t.Any, wire: t.Any
) -> None:
    """Who returns ``True`` from the hook sees to the signals instead."""

    class Courier:
        @hookimpl
        def signalbus_autoflush(self) -> bool:
            return True

    bus.plugin_manager.register(Courier())
    commit(greeting, "a")
    assert bus.drain_autoflush(LONG)

    assert [] == wire.attempts


@pytest.mark.databases
def test_switched_while_signals_wait(
    bus: SignalBus,
    greeting: SignalModel,
    commit: t.Any,
    gate: Gate,
    wire: t.Any,
    pending: t.Any,
) -> None:
    """What was committed before is sent; what is committed then is treated anew."""
    gate.close()
    commit(greeting, "background")
    assert gate.reached.wait(LONG)
    bus.autoflush = False
    commit(greeting, "off")
    gate.open()
    bus.autoflush = True
    commit(greeting, "inline")
    assert "inline" in wire.sent
    assert bus.drain_autoflush(LONG)

    assert {"background", "inline"} == {*wire.sent}
    assert ["off"] == pending(greeting)
    bus.autoflush = "background"
    commit(greeting, "again")
    assert bus.drain_autoflush(LONG)
    assert "again" == wire.sent[-1]


@pytest.mark.databases
def test_sender_may_commit_signals(
    bus: SignalBus, new_model: t.Any, db: SQLAlchemy, wire: t.Any, database: str
) -> None:
    """They are sent after those at hand, by the same thread."""
    if database == "sqlite":
        pytest.skip("A send method must not write to a database of SQLite.")
    second = new_model("Second")

    def send(self: t.Any) -> None:
        wire.carry(self)
        db.session.add(second(text=f"after {self.text}"))
        db.session.commit()

    first = new_model("First", send_signalbus_message=send)
    db.session.add(first(text="a"))
    db.session.commit()
    for _ in range(2):
        assert bus.drain_autoflush(LONG)

    assert ["a", "after a"] == wire.sent


@pytest.mark.databases
def test_broker_that_is_down_is_left_alone(
    bus: SignalBus,
    new_model: t.Any,
    commit: t.Any,
    gate: Gate,
    clock: t.Any,
    wire: t.Any,
    pending: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its breaker opens: what is committed meanwhile stays pending for a flush."""
    model, other = new_model(), new_model("Other", form="row")
    wire.cut = BrokerUnavailableError("gone")
    for text in "abc":
        commit(model, text)
        # After several at once, it would gather more for as long as the clock stands.
        assert bus.drain_autoflush(LONG)

    assert [["a"]] == wire.attempts
    assert 1 == caplog.text.count("gone")
    wire.cut = None
    commit(other, "other")
    assert bus.drain_autoflush(LONG)
    assert ["other"] == wire.sent
    assert ["a", "b", "c"] == pending(model)
    assert 3 == bus.flush()


@pytest.mark.databases
def test_more_than_there_is_room_for_stays_pending(
    bus: SignalBus,
    new_model: t.Any,
    commit: t.Any,
    gate: Gate,
    wire: t.Any,
    pending: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While a broker hangs, 10,000 keys are held; the log says once that it is full."""
    model = new_model(burst=True, form="row", signalbus_burst_count=1000)
    gate.close()
    commit(model, *(["held"] * (LIMIT - 1)))
    assert gate.reached.wait(LONG)
    commit(model, "last", "beyond 1")
    commit(model, "beyond 2")
    gate.open()
    assert bus.drain_autoflush(LONG)

    assert LIMIT == len(wire.sent)
    assert ["beyond 1", "beyond 2"] == pending(model)
    assert 1 == caplog.text.count("takes no more")
    commit(model, "room again")
    assert bus.drain_autoflush(LONG)
    assert "room again" == wire.sent[-1]
    assert 2 == bus.flush()


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit("no")])
def test_thread_goes_on_after_an_exception(
    bus: SignalBus,
    greeting: SignalModel,
    commit: t.Any,
    wire: t.Any,
    pending: t.Any,
    error: BaseException,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is logged, with the model; the next signals are sent."""
    wire.failures["bad"] = error
    commit(greeting, "bad")
    assert bus.drain_autoflush(LONG)
    commit(greeting, "good")
    assert bus.drain_autoflush(LONG)

    assert ["good"] == wire.sent
    assert ["bad"] == pending(greeting)
    assert "Greeting" in caplog.text


def test_thread_goes_on_after_an_exception_of_the_app(
    bus: SignalBus,
    greeting: SignalModel,
    commit: t.Any,
    app: flask.Flask,
    wire: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What the app does at the end of a context may fail."""
    failures = [RuntimeError("torn down")]

    @app.teardown_appcontext
    def fail(_: object) -> None:
        if failures and threading.current_thread().name == "signalbus-autoflush":
            raise failures.pop()

    for text in "ab":
        commit(greeting, text)
        assert bus.drain_autoflush(LONG)

    assert ["a", "b"] == wire.sent
    assert "torn down" in caplog.text


def test_drain_has_nothing_to_wait_for(bus: SignalBus) -> None:
    """Where nothing was committed, it returns at once, and starts no thread."""
    before = _threads()

    assert bus.drain_autoflush(0)
    assert before >= _threads()


def _threads() -> set[threading.Thread]:
    return {
        each for each in threading.enumerate() if each.name == "signalbus-autoflush"
    }


def test_drain_gives_up_after_its_timeout(
    bus: SignalBus, greeting: SignalModel, commit: t.Any, gate: Gate
) -> None:
    """It returns ``False`` then, and the thread goes on."""
    gate.close()
    commit(greeting, "a")

    assert not bus.drain_autoflush(0.01)


def test_drain_ends_when_told_to_stop(
    bus: SignalBus, greeting: SignalModel, commit: t.Any, gate: Gate
) -> None:
    """A thread that is told to stop does not wait."""
    gate.close()
    commit(greeting, "a")
    token = StopToken()
    token.stop()
    with token.active():
        assert not bus.drain_autoflush(LONG)


def test_thread_does_not_wait_for_itself(
    bus: SignalBus, new_model: t.Any, commit: t.Any
) -> None:
    """A send method that drains gets ``False`` at once."""
    found = []

    def send(self: object) -> None:
        found.append(bus.drain_autoflush(LONG))

    commit(new_model(send_signalbus_message=send), "a")
    assert bus.drain_autoflush(LONG)

    assert [False] == found


@pytest.mark.databases("postgresql", "mariadb")
def test_pool_that_is_exhausted(
    new_app: t.Any,
    engine_url: str,
    wire: t.Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The thread gives up the signals at hand, and goes on with the next ones."""
    options = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.2}
    app = new_app(engine_url, SQLALCHEMY_ENGINE_OPTIONS=options)
    db = SQLAlchemy(app)
    bus = SignalBus(db)
    bus.autoflush = "background"

    class Order(db.Model):  # type: ignore[misc, name-defined]
        id = sa.Column(sa.Integer, primary_key=True)
        text = sa.Column(sa.String(50))

        def send_signalbus_message(self) -> None:
            wire.carry(self)

    class Gatekeeper:
        """Takes the only connection as soon as the commit has returned it."""

        @hookimpl
        def signalbus_committed(self) -> None:
            if not taken:
                taken.append(db.engine.connect())

    taken: list[sa.Connection] = []
    bus.plugin_manager.register(Gatekeeper())
    with app.app_context():
        db.create_all()
        db.session.add(Order(text="a"))
        db.session.commit()
        assert bus.drain_autoflush(LONG)
        taken[0].close()
        db.session.add(Order(text="b"))
        db.session.commit()
        assert bus.drain_autoflush(LONG)

    assert ["b"] == wire.sent
    assert "QueuePool" in caplog.text
    assert 1 == bus.flush()


@pytest.mark.databases
def test_apps_and_binds(
    new_app: t.Any,
    engine_url: str,
    other_url: str,
    tmp_path: t.Any,
    wire: t.Any,
) -> None:
    """Each app's signals are sent within it, from its own databases."""
    bind = f"sqlite:///{tmp_path / 'bind.sqlite'}"
    apps = [
        new_app(engine_url, SQLALCHEMY_BINDS={"other": bind}),
        new_app(other_url, SQLALCHEMY_BINDS={"other": f"{bind}2"}),
    ]
    db = SQLAlchemy()
    bus = SignalBus(db)
    bus.autoflush = "background"
    found = []

    class Base(db.Model):  # type: ignore[misc, name-defined]
        __abstract__ = True
        id = sa.Column(sa.Integer, primary_key=True)
        text = sa.Column(sa.String(50))

        def send_signalbus_message(self) -> None:
            current = t.cast("t.Any", flask.current_app)._get_current_object()  # noqa: SLF001 documented by Flask
            found.append((apps.index(current), self.text))

    class Main(Base):
        pass

    class Other(Base):
        __bind_key__ = "other"

    for app in apps:
        db.init_app(app)
        bus.init_app(app)
        with app.app_context():
            db.create_all()
    for number, app in enumerate(apps):
        with app.app_context():
            db.session.add_all([Main(text=f"m{number}"), Other(text=f"o{number}")])
            db.session.commit()
    assert bus.drain_autoflush(LONG)

    assert [(0, "m0"), (0, "o0"), (1, "m1"), (1, "o1")] == found
    for app in apps:
        with app.app_context():
            assert {Main: 0, Other: 0} == bus.count_pending()


def test_database_in_memory_is_sent_from_at_once(
    new_app: t.Any, other_url: str, wire: t.Any
) -> None:
    """The application uses its only connection: the committing thread sends instead.

    The models of other binds are sent in the background.
    """
    app = new_app("sqlite://", SQLALCHEMY_BINDS={"file": other_url})
    db = SQLAlchemy(app)
    bus = SignalBus(db)
    bus.autoflush = "background"
    found = {}

    class Base(db.Model):  # type: ignore[misc, name-defined]
        __abstract__ = True
        id = sa.Column(sa.Integer, primary_key=True)

        def send_signalbus_message(self) -> None:
            found[type(self).__name__] = threading.current_thread()

    class Memory(Base):
        pass

    class File(Base):
        __bind_key__ = "file"

    with app.app_context():
        db.create_all()
        db.session.add_all([Memory(), File()])
        db.session.commit()
        assert threading.current_thread() is found["Memory"]
        db.session.add(Memory())
        db.session.flush()
        assert bus.drain_autoflush(LONG)
        assert 1 == db.session.query(Memory).count()
        db.session.rollback()

    assert "signalbus-autoflush" == found["File"].name
    assert {Memory: 0, File: 0} == bus.count_pending()
