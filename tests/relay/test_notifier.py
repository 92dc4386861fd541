"""A commit wakes relays, and pays next to nothing for it."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import threading
import time
import typing as t
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from signalbus import SettingError
from signalbus import SignalBus
from signalbus_relay import wake
from signalbus_relay._notifier import INTERVAL
from signalbus_relay._notifier import notifier_of

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus.typing import Bus
    from signalbus.typing import SignalModel

#: How long to wait for what must come, in seconds.
PATIENCE = 60.0

RAW_FORKER = Path(__file__).parents[1] / "plugins" / "raw_forker.py"


def plain(url: str) -> str:
    """Return *url* as drivers take it."""
    return sa.make_url(url).set(drivername="postgresql").render_as_string(False)


class Ear:
    """Hears all that is announced in a database."""

    def __init__(self, url: str) -> None:
        """Listen to the database at *url*."""
        self.connection = psycopg.connect(plain(url), autocommit=True)
        self.connection.execute("LISTEN signalbus")
        self.heard: list[psycopg.Notify] = []

    def hear(self) -> psycopg.Notify:
        """Wait for the next notification."""
        if not self.heard:
            self.heard += self.connection.notifies(timeout=PATIENCE, stop_after=1)
        return self.heard.pop(0)

    def hear_until(self, table: str) -> list[str]:
        """Wait for a notification that names *table*, and return all until then."""
        payloads = []
        while not payloads or table not in payloads[-1].split(","):
            payloads.append(self.hear().payload)
        return payloads


@pytest.fixture(params=["psycopg", "psycopg2"])
def engine_url(request: pytest.FixtureRequest, postgresql: t.Any) -> t.Iterator[str]:
    """Give the URL of an empty database on PostgreSQL, for either driver."""
    url = sa.make_url(postgresql.url).set(drivername=f"postgresql+{request.param}")
    yield url.render_as_string(False)
    postgresql.empty()


@pytest.fixture
def ear(engine_url: str) -> t.Iterator[Ear]:
    """Listen to the database of the test."""
    ear = Ear(engine_url)
    with ear.connection:
        yield ear


@pytest.fixture
def new_model(
    db: SQLAlchemy, bus: SignalBus, app_ctx: object
) -> t.Callable[..., SignalModel]:
    """Declare a signal model, and create its table; the bus does not autoflush."""
    bus.autoflush = False

    def make(name: str = "Greeting", **attributes: t.Any) -> SignalModel:
        columns = {"id": sa.Column(sa.Integer, primary_key=True)}
        send = {"send_signalbus_message": lambda _: None}
        model = type(name, (db.Model,), {**columns, **send, **attributes})
        db.create_all()
        return model

    return make


@pytest.fixture
def greeting(new_model: t.Callable[..., SignalModel]) -> SignalModel:
    """Declare a signal model."""
    return new_model()


@pytest.fixture
def commit(db: SQLAlchemy, bus: SignalBus) -> t.Callable[..., None]:
    """Record a signal of each of some models in one transaction."""

    def record(*models: SignalModel) -> None:
        db.session.add_all(model() for model in models)
        db.session.commit()

    return record


@pytest.fixture
def outage(db: SQLAlchemy, app_ctx: object) -> t.Callable[[], t.ContextManager[object]]:
    """Let no new connection be made while ``outage()`` lasts."""

    class Outage:
        def __enter__(self) -> None:
            sa.event.listen(db.engine, "do_connect", refuse)

        def __exit__(self, *_: object) -> None:
            sa.event.remove(db.engine, "do_connect", refuse)

    def refuse(dialect: sa.Dialect, *_: object) -> None:
        raise t.cast("t.Any", dialect).loaded_dbapi.OperationalError("out of order")

    return Outage


@pytest.fixture
def sales(ear: Ear, engine_url: str) -> t.Iterator[str]:
    """Make a schema."""
    ear.connection.execute("CREATE SCHEMA sales")
    yield "sales"
    with psycopg.connect(plain(engine_url), autocommit=True) as connection:
        connection.execute("DROP SCHEMA sales CASCADE")


def announcing_threads() -> set[threading.Thread]:
    """Return the threads that announce something."""
    return {each for each in threading.enumerate() if each.name == "signalbus-notifier"}


def eventually(condition: t.Callable[[], object]) -> bool:
    """Wait until *condition* holds; return whether it does."""
    until = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    return bool(condition())


def test_commit_wakes_relays(
    ear: Ear, greeting: SignalModel, commit: t.Callable[..., None]
) -> None:
    """It announces the tables of what is not autoflushed."""
    commit(greeting)

    assert "greeting" == ear.hear().payload


def test_transaction_is_left_alone(
    ear: Ear, db: SQLAlchemy, greeting: SignalModel
) -> None:
    """The announcement comes from another connection, when the signal is there."""
    db.session.add(greeting())
    own = db.session.scalar(sa.text("SELECT pg_backend_pid()"))
    db.session.commit()

    assert own != ear.hear().pid
    assert (1,) == ear.connection.execute("SELECT count(*) FROM greeting").fetchone()


def test_rolled_back_transaction_wakes_nobody(
    ear: Ear,
    db: SQLAlchemy,
    new_model: t.Callable[..., SignalModel],
    commit: t.Callable[..., None],
) -> None:
    """Nor does a savepoint that is rolled back."""
    lost, kept = new_model("Lost"), new_model("Kept")
    db.session.add(lost())
    db.session.flush()
    db.session.rollback()
    with db.session.begin_nested() as savepoint:
        db.session.add(lost())
        db.session.flush()
        savepoint.rollback()
    commit(kept)

    assert "kept" == ear.hear().payload


@pytest.mark.parametrize("autoflush", [True, "background"])
def test_autoflushed_models_wake_nobody(
    ear: Ear,
    bus: SignalBus,
    new_model: t.Callable[..., SignalModel],
    commit: t.Callable[..., None],
    autoflush: t.Any,
) -> None:
    """Only what this process leaves to relays does."""
    sent, left = new_model("Sent"), new_model("Left", signalbus_autoflush=False)
    bus.autoflush = autoflush
    commit(sent, left)

    assert bus.drain_autoflush(
        PATIENCE
    )  # its connection goes back before the pool does
    assert "left" == ear.hear().payload


def test_autoflush_may_be_switched_at_any_time(
    ear: Ear,
    bus: SignalBus,
    greeting: SignalModel,
    new_model: t.Callable[..., SignalModel],
    commit: t.Callable[..., None],
) -> None:
    """What commits know of a model does not outlive the setting of the bus."""
    last = new_model("Last", signalbus_autoflush=False)
    commit(greeting)
    assert "greeting" == ear.hear().payload
    bus.autoflush = True
    commit(greeting)
    commit(last)
    assert ["last"] == ear.hear_until("last")
    bus.autoflush = False
    commit(greeting)

    assert "greeting" == ear.hear().payload


def test_burst_of_commits_gives_few_notifications(
    ear: Ear, new_model: t.Callable[..., SignalModel], commit: t.Callable[..., None]
) -> None:
    """There is one every few milliseconds at most, whatever the commits."""
    often, last = new_model("Often"), new_model("Last")
    start = time.monotonic()
    for _ in range(200):
        commit(often)
    commit(last)
    payloads = ear.hear_until("last")

    assert len(payloads) <= (time.monotonic() - start) / INTERVAL + 1
    assert {"often", "last"} == {each for p in payloads for each in p.split(",")}


def test_models_of_a_schema_are_announced_by_their_full_names(
    ear: Ear,
    sales: str,
    new_model: t.Callable[..., SignalModel],
    commit: t.Callable[..., None],
) -> None:
    """So that a relay can tell them from others of the same name."""
    paid = new_model("Paid")
    sale = new_model("Sale", __tablename__="paid", __table_args__={"schema": sales})
    commit(paid, sale)

    assert "paid,sales.paid" == ear.hear().payload


def test_too_many_names_mean_all(
    ear: Ear, new_model: t.Callable[..., SignalModel], commit: t.Callable[..., None]
) -> None:
    """PostgreSQL takes payloads of less than 8000 bytes."""
    models = [new_model(f"Long{i:055}") for i in range(120)]
    commit(*models)

    assert "" == ear.hear().payload


def test_each_bind_is_announced_in_its_own_database(
    new_app: t.Callable[..., Flask], engine_url: str, postgresql: t.Any
) -> None:
    """Channels belong to databases."""
    name = f"{postgresql.name}_other"
    other_url = sa.make_url(engine_url).set(database=name).render_as_string(False)
    postgresql.execute(f"CREATE DATABASE {name}")
    try:
        app = new_app(engine_url, SQLALCHEMY_BINDS={"other": other_url})
        db = SQLAlchemy(app)
        SignalBus(db).autoflush = False

        class Here(db.Model):  # type: ignore[name-defined,misc]
            id = sa.Column(sa.Integer, primary_key=True)
            send_signalbus_message = print

        class Elsewhere(db.Model):  # type: ignore[name-defined,misc]
            __bind_key__ = "other"
            id = sa.Column(sa.Integer, primary_key=True)
            send_signalbus_message = print

        ears = Ear(engine_url), Ear(other_url)
        with app.app_context(), ears[0].connection, ears[1].connection:
            db.create_all()
            db.session.add_all([Here(), Elsewhere()])
            db.session.commit()

            assert ["here", "elsewhere"] == [ear.hear().payload for ear in ears]
            db.session.remove()
            db.engines["other"].dispose()
    finally:
        postgresql.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_exhausted_pool_holds_up_nothing(
    ear: Ear, new_app: t.Callable[..., Flask], engine_url: str
) -> None:
    """Announcements take no connection from the pool."""
    options = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.1}
    app = new_app(engine_url, SQLALCHEMY_ENGINE_OPTIONS=options)
    db = SQLAlchemy(app)
    bus = SignalBus(db)
    with app.app_context(), db.engine.connect():
        notifier_of(bus, db.engine).announce({"greeting"})

        assert "greeting" == ear.hear().payload


def test_lost_connection_is_replaced(
    ear: Ear, greeting: SignalModel, commit: t.Callable[..., None]
) -> None:
    """The first commit after it is announced, too."""
    commit(greeting)
    first = ear.hear().pid
    ear.connection.execute("SELECT pg_terminate_backend(%s, 30000)", [first])
    commit(greeting)

    assert first != ear.hear().pid


def test_outage_is_logged_once_and_made_up_for(
    ear: Ear,
    greeting: SignalModel,
    commit: t.Callable[..., None],
    outage: t.Callable[[], t.ContextManager[object]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What could not be announced is announced when that is possible again."""
    with outage():
        commit(greeting)
        assert eventually(lambda: caplog.messages)
    payload = ear.hear().payload

    assert "greeting" == payload
    assert eventually(lambda: len(caplog.messages) == 2)
    lost, found = caplog.messages
    assert lost.startswith("Relays are not woken by commits of this process")
    assert lost.endswith("out of order")
    assert found == "Relays are woken by commits of this process again."


def test_disposed_engine_keeps_no_connection(
    ear: Ear, db: SQLAlchemy, greeting: SignalModel, commit: t.Callable[..., None]
) -> None:
    """Who has disposed it may drop the database; later commits connect again."""
    commit(greeting)
    first = ear.hear().pid
    db.session.remove()
    db.engine.dispose()
    gone = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
    alive = ear.connection.execute
    assert eventually(lambda: alive(gone, [first]).fetchone() == (0,))
    commit(greeting)

    assert first != ear.hear().pid


def test_statements_call_no_listeners(
    ear: Ear, db: SQLAlchemy, greeting: SignalModel, commit: t.Callable[..., None]
) -> None:
    """SQLAlchemy is as fast as ever: it looks for listeners only if there are some."""
    before = db.engine._has_events  # noqa: SLF001 there is no other way to know
    commit(greeting)
    ear.hear()

    assert before == db.engine._has_events  # noqa: SLF001 as above


@pytest.mark.parametrize("when", ["before", "after"])
def test_listeners_of_the_application_are_called(
    ear: Ear,
    db: SQLAlchemy,
    greeting: SignalModel,
    commit: t.Callable[..., None],
    when: str,
) -> None:
    """Whether they were there before the first commit, or came later."""
    commits: list[object] = []
    if when == "before":
        sa.event.listen(db.engine, "commit", commits.append)
    commit(greeting)
    ear.hear()
    if when == "after":
        sa.event.listen(db.engine, "commit", commits.append)
    commits.clear()
    commit(greeting)

    assert 1 == len(commits)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="There is no fork here.")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_fork_has_a_connection_of_its_own(
    ear: Ear, db: SQLAlchemy, greeting: SignalModel, commit: t.Callable[..., None]
) -> None:
    """The parent's stays as it is, whatever becomes of the child."""
    commit(greeting)
    parent = ear.hear().pid
    may_end, end = os.pipe()

    child = os.fork()
    if child == 0:
        try:
            db.engine.dispose(close=False)
            commit(greeting)
            os.close(end)
            os.read(may_end, 1)
            gc.collect()
        finally:
            os._exit(0)
    try:
        forked = ear.hear().pid
    finally:
        os.close(end)
        os.waitpid(child, 0)
        os.close(may_end)
    commit(greeting)

    assert parent != forked
    assert parent == ear.hear().pid


@pytest.mark.skipif(not hasattr(os, "fork"), reason="There is no fork here.")
def test_fork_without_the_hooks_of_python(
    ear: Ear, engine_url: str, interpreter: t.Any
) -> None:
    """As that of uWSGI: the child has a thread and a connection of its own."""
    program = interpreter(RAW_FORKER, engine_url, "off")
    parent, child = ear.hear().pid, ear.hear().pid
    program.communicate("go on\n", timeout=PATIENCE)

    assert parent != child
    assert parent == ear.hear().pid


PROGRAM = textwrap.dedent(
    """
    import multiprocessing, sys, time
    import sqlalchemy as sa
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus

    app = Flask("shop")
    app.config.update(
        SQLALCHEMY_DATABASE_URI=sys.argv[1], SIGNALBUS_AUTOFLUSH=False
    )
    db = SQLAlchemy(app)
    bus = SignalBus(db)

    class Greeting(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        send_signalbus_message = print

    def commit():
        with app.app_context():
            db.engine.dispose(close=False)
            db.create_all()
            if sys.argv[2] == "hang":
                sa.event.listen(db.engine, "do_connect", lambda *_: time.sleep(3600))
            db.session.add(Greeting())
            db.session.commit()

    if sys.argv[2] == "fork":
        child = multiprocessing.get_context("fork").Process(target=commit)
        child.start()
        child.join()
    else:
        commit()
    """
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program, to its end."""
    return subprocess.run(  # noqa: S603 our own program
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("way", ["plain", "fork"])
def test_last_commit_of_a_process_is_announced(
    ear: Ear, engine_url: str, way: str
) -> None:
    """The end of the process waits for that, also that of a child process."""
    ended = run(engine_url, way)

    assert (0, "") == (ended.returncode, ended.stderr)
    assert "greeting" == ear.hear().payload


def test_end_of_a_process_waits_for_no_database_that_hangs(engine_url: str) -> None:
    """It takes but a moment."""
    ended = run(engine_url, "hang")

    assert (0, "") == (ended.returncode, ended.stderr)


class Owner:
    """What owns a notifier in the place of a bus."""


def test_thread_ends_with_its_bus(ear: Ear, engine_url: str) -> None:
    """What is due is sent, and the connection closed."""
    engine = sa.create_engine(engine_url)
    others = announcing_threads()
    owner = Owner()
    notifier_of(t.cast("Bus", owner), engine).announce({"greeting"})
    sender = ear.hear().pid
    (thread,) = announcing_threads() - others
    del owner
    gc.collect()
    thread.join(PATIENCE)

    assert not thread.is_alive()
    gone = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
    alive = ear.connection.execute
    assert eventually(lambda: alive(gone, [sender]).fetchone() == (0,))


def test_thread_does_not_keep_the_engine(ear: Ear, engine_url: str) -> None:
    """It ends with the engine, too."""
    engine = sa.create_engine(engine_url)
    others = announcing_threads()
    owner = Owner()
    notifier_of(t.cast("Bus", owner), engine).announce({"greeting"})
    ear.hear()
    (thread,) = announcing_threads() - others
    del engine

    assert eventually(lambda: gc.collect() >= 0 and not thread.is_alive())


@pytest.mark.parametrize("value", [False, "off", "0"])
def test_notifications_can_be_switched_off(
    ear: Ear,
    app: Flask,
    greeting: SignalModel,
    commit: t.Callable[..., None],
    value: object,
) -> None:
    """Then relays only poll."""
    app.config["SIGNALBUS_RELAY_NOTIFY"] = value
    others = announcing_threads()  # of tests before, which may end meanwhile
    commit(greeting)

    assert set() == announcing_threads() - others


def test_wrong_switch_is_refused(
    new_app: t.Callable[..., Flask], engine_url: str
) -> None:
    """When the app gets its bus, with the name of the setting and the remedy."""
    app = new_app(engine_url, SIGNALBUS_RELAY_NOTIFY="perhaps")
    remedy = "SIGNALBUS_RELAY_NOTIFY is 'perhaps'. Set it to True or False"
    with pytest.raises(SettingError, match=remedy):
        SignalBus(SQLAlchemy(app))


def test_nobody_is_told_what_a_test_will_roll_back(
    db: SQLAlchemy,
    bus: SignalBus,
    greeting: SignalModel,
    commit: t.Callable[..., None],
    ear: Ear,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its connection stands in for the engine. What is committed later is announced."""
    engines = db.engines
    engine = engines[None]
    with engine.connect() as connection, connection.begin() as transaction:
        engines[None] = t.cast("sa.Engine", connection)
        commit(greeting)
        wake(bus, [greeting])
        db.session.remove()
        engines[None] = engine
        transaction.rollback()
    commit(greeting)

    assert "greeting" == ear.hear().payload
    assert [] == ear.heard
    assert [] == caplog.messages
