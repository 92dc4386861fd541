"""What the gauges report, which process reports it, and at what cost."""

from __future__ import annotations

import datetime as dt
import threading
import typing as t

import pytest
import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from signalbus import BrokerUnavailableError
from signalbus import SignalBus
from signalbus.exceptions import SettingError
from signalbus_otel import Timed
from signalbus_otel import Traced
from signalbus_otel import _watch

if t.TYPE_CHECKING:
    from pathlib import Path

    from conftest import Metrics
    from conftest import Wire
    from flask import Flask
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

Record: t.TypeAlias = t.Callable[..., None]

PENDING = "signalbus.signals.pending"
OLDEST = "signalbus.signals.oldest.age"


@pytest.fixture
def app(app: Flask) -> Flask:
    """Give an app that reports what is in its database, and reads it every time."""
    app.config["SIGNALBUS_OTEL_PENDING"] = True
    app.config["SIGNALBUS_OTEL_PENDING_LIMIT"] = 3
    app.config["SIGNALBUS_OTEL_INTERVAL"] = 0.000_001
    return app


@pytest.fixture
def used(bus: SignalBus, model: SignalModel) -> SignalModel:
    """Give a model of a bus that has been used: its mappers are configured."""
    bus.get_signal_models()
    return model


@pytest.mark.databases
def test_pending_signals_are_counted(
    metrics: Metrics, used: SignalModel, record: Record
) -> None:
    """On each database, by model."""
    record(used, "a", "b")

    assert {used.__name__: 2} == metrics.values(PENDING, used, "signalbus.model")


@pytest.mark.databases
def test_count_ends_at_the_limit(
    metrics: Metrics, used: SignalModel, record: Record
) -> None:
    """The limit means: so many, or more."""
    record(used, *"abcdef")

    assert {None: 3} == metrics.values(PENDING, used)


@pytest.mark.databases
def test_age_is_that_of_the_oldest(
    metrics: Metrics, used: SignalModel, app: Flask, db: SQLAlchemy
) -> None:
    """By the column that the mixin brings."""
    hour_ago = dt.datetime.now(dt.timezone.utc) - dt.timedelta(hours=1)
    with app.app_context():
        db.session.add_all([used(recorded_at=hour_ago), used()])
        db.session.commit()

    (point,) = metrics.points(OLDEST, used)

    assert 3600 <= point.value < 3600 + 600


def test_without_the_column_there_is_no_age(
    metrics: Metrics,
    bus: SignalBus,
    new_model: t.Callable[..., SignalModel],
    record: Record,
) -> None:
    """The gauge is missing then; the number of pending signals is not."""
    own = new_model(Traced)
    record(own, "a")
    bus.get_signal_models()

    assert {None: 1} == metrics.values(PENDING, own)
    assert OLDEST not in metrics.read()


def test_nothing_pending_is_zero(metrics: Metrics, used: SignalModel) -> None:
    """A gauge that is missing means something else: that nobody looked."""
    read = metrics.read()

    assert [0, 0] == [
        read[name].data.data_points[0].value for name in (PENDING, OLDEST)
    ]


def test_each_model_of_one_table_counts_its_own(
    metrics: Metrics, bus: SignalBus, db: SQLAlchemy, app: Flask, wire: Wire
) -> None:
    """Models that inherit, and share a table, are told apart."""

    class Event(db.Model):  # type: ignore[name-defined,misc]
        id = sa.Column(sa.Integer, primary_key=True)
        kind = sa.Column(sa.String(10))
        signalbus_broker = "wire"
        signalbus_autoflush = False
        __mapper_args__: t.ClassVar = {
            "polymorphic_on": kind,
            "polymorphic_identity": "event",
        }

    class Paid(Event):
        __mapper_args__: t.ClassVar = {"polymorphic_identity": "paid"}

    with app.app_context():
        db.create_all()
        db.session.add_all([Event(), Paid(), Paid()])
        db.session.commit()
    bus.get_signal_models()

    assert {None: 1} == metrics.values(PENDING, Event)
    assert {None: 2} == metrics.values(PENDING, Paid)


def test_nobody_is_asked_before_mappers_are_configured(
    metrics: Metrics, model: SignalModel
) -> None:
    """An exporter comes at any time, maybe in the middle of an import."""
    mapper = sa.inspect(model)

    assert PENDING not in metrics.read()
    assert not mapper.configured


def test_what_was_read_is_good_for_some_seconds(
    metrics: Metrics, used: SignalModel, app: Flask, record: Record
) -> None:
    """The database is not asked at each export."""
    (watch,) = [each for each in _watch.watches() if each._app() is app]  # noqa: SLF001
    watch._settings = watch._settings._replace(interval=600)  # noqa: SLF001
    metrics.read()

    record(used, "a")

    assert {None: 0} == metrics.values(PENDING, used)


def test_missing_table_costs_its_own_gauge_only(
    metrics: Metrics,
    used: SignalModel,
    new_model: t.Callable[..., SignalModel],
    bus: SignalBus,
    app: Flask,
    db: SQLAlchemy,
) -> None:
    """An exporter never sees an error."""
    other = new_model()
    bus.get_signal_models()
    with app.app_context(), db.engine.begin() as connection:
        used.__table__.drop(connection)

    assert {None: 0} == metrics.values(PENDING, other)
    assert [] == metrics.points(PENDING, used)


def test_database_that_hangs_keeps_no_exporter(
    metrics: Metrics,
    used: SignalModel,
    app: Flask,
    db: SQLAlchemy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It waits for a moment, and reports what else there is."""
    monkeypatch.setattr(_watch, "PATIENCE", 0.5)
    free = threading.Event()
    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", lambda *_: free.wait(60) and None)
    try:
        read = metrics.read()
    finally:
        free.set()

    assert PENDING not in read
    assert "signalbus.breaker.open" in read


def test_database_in_memory_is_left_alone(
    metrics: Metrics, new_app: t.Callable[..., Flask]
) -> None:
    """Its only connection may be in the middle of a transaction."""
    from flask_sqlalchemy import SQLAlchemy

    app = new_app("sqlite://", SIGNALBUS_OTEL_PENDING="yes")
    db = SQLAlchemy(app)
    bus = SignalBus(db)

    class InMemory(db.Model):  # type: ignore[name-defined,misc]
        id = sa.Column(sa.Integer, primary_key=True)

        def send_signalbus_message(self) -> None:
            pass

    bus.get_signal_models()

    assert PENDING not in metrics.read()


@pytest.mark.parametrize("value", ["relay", "off", False])
def test_process_without_a_relay_does_not_look(
    value: object, new_app: t.Callable[..., Flask], engine_url: str, metrics: Metrics
) -> None:
    """By default, only the processes of relays do."""
    from flask_sqlalchemy import SQLAlchemy

    app = new_app(engine_url, SIGNALBUS_OTEL_PENDING=value)
    db = SQLAlchemy(app)
    bus = SignalBus(db)

    class Elsewhere(db.Model):  # type: ignore[name-defined,misc]
        id = sa.Column(sa.Integer, primary_key=True)

        def send_signalbus_message(self) -> None:
            pass

    with app.app_context():
        db.create_all()
    bus.get_signal_models()

    assert PENDING not in metrics.read()


def test_breaker_is_open_while_its_broker_is_down(
    metrics: Metrics, bus: SignalBus, used: SignalModel, record: Record, wire: Wire
) -> None:
    """1 while it is open, else 0, for each broker that models name."""

    def state() -> float:
        (point,) = [
            point
            for point in metrics.read()["signalbus.breaker.open"].data.data_points
            if point.attributes == {"signalbus.broker": "wire"}
        ]
        value: float = point.value
        return value

    def fail(signals: t.Sequence[Signal]) -> None:
        raise BrokerUnavailableError

    record(used, "a")
    before = state()
    wire.fail = fail
    with pytest.raises(BrokerUnavailableError):
        bus.flushmany()

    assert (0, 1) == (before, state())


def test_failures_are_counted_by_state(
    monkeypatch: pytest.MonkeyPatch, metrics: Metrics, request: pytest.FixtureRequest
) -> None:
    """Where signalbus-retry is installed."""
    retry = pytest.importorskip("signalbus_retry")
    monkeypatch.setenv("SIGNALBUS_DISABLED_PLUGINS", "")
    own: SignalModel = request.getfixturevalue("new_model")(Timed)
    bus: SignalBus = request.getfixturevalue("bus")
    record: Record = request.getfixturevalue("record")
    record(own, "a", "b", "c")
    with request.getfixturevalue("app").app_context():
        retry.park(bus, own, [(1,), (2,)])

    by_state = metrics.values("signalbus.failures", own, "signalbus.failure.state")

    assert {"parked": 2, "waiting": 0} == by_state


@pytest.mark.databases("postgresql")
def test_relay_reports_itself(
    metrics: Metrics, used: SignalModel, app: Flask, record: Record
) -> None:
    """That it is alive, and what wakes it; and so it reports what is pending."""
    signalbus_relay = pytest.importorskip("signalbus_relay")
    for watch in _watch.watches():
        if watch._app() is app:  # noqa: SLF001
            watch._settings = watch._settings._replace(pending=None)  # noqa: SLF001
    relay = signalbus_relay.Relay(app)
    is_ready = threading.Event()
    thread = threading.Thread(target=relay.run, args=(lambda line: is_ready.set(),))
    thread.start()
    try:
        assert is_ready.wait(60)
        while relay.listeners != {"default": "listening"} or not _relays(app):
            threading.Event().wait(0.01)
        read = metrics.read()
    finally:
        relay.stop()
        thread.join(60)

    def values(name: str) -> list[tuple[object, float]]:
        points = read[name].data.data_points
        return [(each.attributes["signalbus.database"], each.value) for each in points]

    assert [("default", 1)] == values("signalbus.listener.listening")
    assert [("default", 1)] == values("signalbus.relays")
    assert PENDING in read
    assert PENDING not in metrics.read()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIGNALBUS_OTEL_PENDING", "sometimes"),
        ("SIGNALBUS_OTEL_PENDING_LIMIT", 0),
        ("SIGNALBUS_OTEL_PENDING_LIMIT", "many"),
        ("SIGNALBUS_OTEL_INTERVAL", -1),
    ],
)
def test_setting_that_cannot_be_read_is_refused(
    name: str, value: object, app: Flask, db: SQLAlchemy
) -> None:
    """By name, when the bus is made."""
    app.config[name] = value

    with pytest.raises(SettingError, match=f"^{name} is "):
        SignalBus(db)


def _relays(app: Flask) -> list[t.Any]:
    """Return the relays that are known to be running; each needs a moment for that."""
    from signalbus_relay import relays

    with app.app_context():
        return list(relays(app.extensions["signalbus"]))


def test_models_of_one_name_are_counted_together(
    metrics: Metrics, bus: SignalBus, db: SQLAlchemy, app: Flask, wire: Wire
) -> None:
    """The gauges of both have the same attributes, so that one would hide the other."""
    bus.autoflush = False
    paid, other = (_named_paid(db, table) for table in ("paid", "paid_too"))
    hour_ago = dt.datetime.now(dt.timezone.utc) - dt.timedelta(hours=1)
    with app.app_context():
        db.create_all()
        db.session.add_all([paid(), other(recorded_at=hour_ago)])
        db.session.commit()
    bus.get_signal_models()

    assert {None: 2} == metrics.values(PENDING, paid)
    assert 3600 <= metrics.values(OLDEST, paid)[None] < 3600 + 600


def test_open_breaker_is_not_hidden_by_a_model_of_that_name(
    metrics: Metrics, bus: SignalBus, db: SQLAlchemy
) -> None:
    """Models that send by themselves have breakers of their own."""
    models = [_named_paid(db, table, broker=None) for table in ("paid", "paid_too")]
    bus.get_signal_models()

    for model in models:
        bus.reset_breakers()
        bus.breakers.record_failure(model, 0.0)

        points = metrics.read()["signalbus.breaker.open"].data.data_points

        found = {each.attributes["signalbus.broker"]: each.value for each in points}
        assert 1 == found["Paid"]


def test_app_that_comes_later_is_watched(
    metrics: Metrics,
    used: SignalModel,
    record: Record,
    another_app: t.Callable[[str], Flask],
    db: SQLAlchemy,
    tmp_path: Path,
) -> None:
    """Its models were configured when it was not there; the apps are added up."""
    record(used, "a")
    other = another_app(f"sqlite:///{tmp_path / 'other.sqlite'}")
    with other.app_context():
        db.create_all()
        db.session.add_all([used(text="b"), used(text="c")])
        db.session.commit()

    assert {None: 3} == metrics.values(PENDING, used)


def test_database_of_several_apps_is_counted_once(
    metrics: Metrics,
    used: SignalModel,
    record: Record,
    app: Flask,
    another_app: t.Callable[[str], Flask],
) -> None:
    """Both apps see the same signals there."""
    record(used, "a")
    twin = another_app(app.config["SQLALCHEMY_DATABASE_URI"])

    assert twin is not app
    assert {None: 1} == metrics.values(PENDING, used)


def test_database_of_several_buses_is_counted_once(
    metrics: Metrics, app: Flask, new_app: t.Callable[..., Flask]
) -> None:
    """An app factory may make the models, too: each app has classes of its own."""
    kept = []
    for each in (app, new_app(app.config["SQLALCHEMY_DATABASE_URI"], **app.config)):
        db = SQLAlchemy(each)
        bus = SignalBus(db)
        paid = _named_paid(db, "paid")
        bus.get_signal_models()
        kept += [each, paid]
        with each.app_context():
            db.create_all()
            bus.autoflush = False
            db.session.add(paid())
            db.session.commit()

    assert {None: 2} == metrics.values(PENDING, paid)


@pytest.fixture
def another_app(
    app: Flask, bus: SignalBus, db: SQLAlchemy, new_app: t.Callable[..., Flask]
) -> t.Callable[[str], Flask]:
    """Make one more app of the bus with ``another_app(database)``."""

    def make(database: str) -> Flask:
        other = new_app(database, **app.config)
        db.init_app(other)
        bus.init_app(other)
        return other

    return make


def _named_paid(db: SQLAlchemy, table: str, broker: str | None = "wire") -> t.Any:
    """Declare a model that is called ``Paid``, like others."""
    columns = {"__tablename__": table, "id": sa.Column(sa.Integer, primary_key=True)}
    sender = {"send_signalbus_message": print, "signalbus_broker": broker}
    if broker:
        del sender["send_signalbus_message"]
    module = {"__module__": f"shop.{table}"}
    return type("Paid", (Timed, db.Model), {**columns, **sender, **module})
