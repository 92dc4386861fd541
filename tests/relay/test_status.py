"""The rows of relays: who is running, and who has ended without a word."""

from __future__ import annotations

import datetime as dt
import json
import logging
import os
import subprocess
import sys
import threading
import typing as t
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa
from signalbus import SignalBus
from signalbus_relay import _row
from signalbus_relay._counts import Counts
from signalbus_relay._status import Status
from signalbus_relay._status import status_on

if t.TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

NAME = "signalbus_relay"

Database: t.TypeAlias = "Rows"


def _declare(db: SQLAlchemy, name: str = "Parcel", **attributes: t.Any) -> SignalModel:
    def send_signalbus_message(cls: SignalModel, signal: Signal) -> None:
        """Confirm everything."""

    fixed = {
        "id": sa.Column(sa.Integer, primary_key=True),
        "send_signalbus_message": classmethod(send_signalbus_message),
    }
    return type(name, (db.Model,), {**fixed, **attributes})


class Rows:
    """The table in one database."""

    def __init__(self, db: SQLAlchemy, bind: str | None = None) -> None:
        """Find the table."""
        self.engine = db.engines[bind]
        self.table = db.metadatas[bind].tables[NAME]

    def all(self) -> list[t.Any]:
        """Read all rows."""
        with self.engine.connect() as connection:
            return list(connection.execute(sa.select(self.table)))

    def add(self, **values: t.Any) -> str:
        """Add the row of a relay on another host, with a heartbeat of just now."""
        now = dt.datetime.now(dt.timezone.utc)
        row = {
            "id": uuid.uuid4().hex,
            "host": "elsewhere",
            "process": 4711,
            "started_at": now,
            "heartbeat_at": now,
            "models": "{}",
        }
        row.update(values)
        if self.engine.dialect.name != "postgresql":
            for name in ("started_at", "heartbeat_at"):
                row[name] = row[name].replace(tzinfo=None)
        with self.engine.begin() as connection:
            connection.execute(sa.insert(self.table), [row])
        return str(row["id"])

    def beat(self, relay_id: str, seconds: float = 1) -> None:
        """Let a heartbeat be from so many *seconds* ahead, or ago."""
        time = dt.datetime.now(dt.timezone.utc) + dt.timedelta(seconds=seconds)
        if self.engine.dialect.name != "postgresql":
            time = time.replace(tzinfo=None)
        update = sa.update(self.table).where(self.table.c.id == relay_id)
        self.execute(update.values(heartbeat_at=time))

    def execute(self, statement: t.Any) -> None:
        """Execute a statement, and commit."""
        with self.engine.begin() as connection:
            connection.execute(statement)


@pytest.fixture
def with_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch signalbus-retry on, where it is installed."""
    monkeypatch.delenv("SIGNALBUS_DISABLED_PLUGINS")


@pytest.fixture
def parcel(db: SQLAlchemy, bus: SignalBus, app_ctx: object) -> SignalModel:
    """Declare a signal model, and create its table and ours."""
    model = _declare(db)
    db.create_all()
    return model


@pytest.fixture
def rows(db: SQLAlchemy, parcel: SignalModel) -> Rows:
    """Give the table."""
    return Rows(db)


@pytest.fixture
def new_status(app: Flask, bus: SignalBus) -> t.Iterator[t.Callable[[], Status]]:
    """Make the status of a relay, which ends with the test."""
    made: list[Status] = []

    def make() -> Status:
        made.append(Status(app, bus, uuid.uuid4().hex))
        return made[-1]

    yield make
    for each in made:
        each.end()


@pytest.fixture
def ended_process() -> int:
    """Give the number of a process that was."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> t.Callable[[], list[str]]:
    """Return the lines of the relay's log."""
    caplog.set_level(logging.INFO)
    return lambda: [
        each.getMessage() for each in caplog.records if each.name == "signalbus.relay"
    ]


@pytest.mark.databases
def test_relay_has_a_row_while_it_runs(
    new_status: t.Any, parcel: SignalModel, rows: Rows, bus: SignalBus
) -> None:
    """It says who is running, and since when; the end of the relay deletes it."""
    status = new_status()

    assert not _begin(status, parcel)
    assert status is status_on(bus)

    (row,) = rows.all()

    assert (status.relay_id, _row.host_name(), os.getpid()) == (
        (row.id, row.host, row.process)
    )
    assert row.started_at == row.heartbeat_at
    assert {"Parcel"} == json.loads(row.models).keys()

    status.end()

    assert [] == rows.all()
    assert status_on(bus) is None


@pytest.mark.databases
def test_heartbeat_has_the_time_and_the_counts(
    new_status: t.Any, parcel: SignalModel, rows: Rows, bus: SignalBus
) -> None:
    """By the clock of the database."""
    status, counts = new_status(), Counts()
    _begin(status, parcel)
    (before,) = rows.all()
    counts.signalbus_burst_sent(parcel, 7)
    _beat(status, [parcel], counts)
    (after,) = rows.all()

    assert before.started_at == after.started_at
    assert before.heartbeat_at < after.heartbeat_at
    assert 7 == json.loads(after.models)["Parcel"]["sent"]


@pytest.mark.databases("postgresql")
def test_heartbeat_survives_a_connection_that_died_in_the_pool(
    new_status: t.Any, parcel: SignalModel, rows: Rows, db: SQLAlchemy
) -> None:
    """It costs one heartbeat at most, and no place in the pool."""
    status = new_status()
    _begin(status, parcel)
    (before,) = rows.all()
    engine = db.engine
    engine.dispose()
    with engine.connect() as dying:
        pid = dying.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    with sa.create_engine(engine.url, poolclass=sa.NullPool).connect() as other:
        other.exec_driver_sql(f"SELECT pg_terminate_backend({pid}, 5000)")
    for _ in range(2):
        _beat(status, [parcel], Counts())
    (after,) = rows.all()

    assert before.heartbeat_at < after.heartbeat_at
    assert 0 == engine.pool.checkedout()
    with engine.connect() as connection:
        assert not connection.connection.dbapi_connection.autocommit


@pytest.mark.databases
@pytest.mark.parametrize("is_here", [True, False])
def test_relay_that_is_gone_is_found(
    new_status: t.Any,
    parcel: SignalModel,
    rows: Rows,
    ended_process: int,
    log: t.Any,
    is_here: bool,
) -> None:
    """By its process, on the same host, or by its silence; its row is deleted."""
    silent = dt.datetime.now(dt.timezone.utc) - dt.timedelta(seconds=120)
    here = {"host": _row.host_name(), "process": ended_process}
    rows.add(**(here if is_here else {"heartbeat_at": silent}))
    status = new_status()

    assert _begin(status, parcel)
    assert [status.relay_id] == [row.id for row in rows.all()]
    assert ["did not end properly" in line for line in log()] == [True]
    assert not _begin(new_status(), parcel)


def test_relay_that_had_our_process_number_is_gone(
    new_status: t.Any, parcel: SignalModel, rows: Rows
) -> None:
    """In a container, the process that is started again has the same number."""
    rows.add(host=_row.host_name(), process=os.getpid())

    assert _begin(new_status(), parcel)


@pytest.mark.databases
def test_namesake_in_another_container_is_left_alone(
    new_status: t.Any,
    parcel: SignalModel,
    rows: Rows,
    ended_process: int,
    log: t.Any,
) -> None:
    """Its processes cannot be seen. It may live, so nobody says that it has ended.

    It may also be the one before, which crashed: so the first signals are sent alone.
    """
    namesake = rows.add(host=_row.host_name(), process=ended_process, namespace="other")
    status = new_status()

    assert _begin(status, parcel)

    rows.beat(namesake)
    for _ in range(2):
        _beat(status, [parcel], Counts())

    assert {namesake, status.relay_id} == {row.id for row in rows.all()}
    assert [] == log()


@pytest.mark.databases
def test_namesake_that_falls_silent_is_gone(
    new_status: t.Any, parcel: SignalModel, rows: Rows, log: t.Any
) -> None:
    """The relay goes on looking until it knows, even if the number is its own."""
    namesake = rows.add(host=_row.host_name(), process=os.getpid(), namespace="other")
    status = new_status()

    assert _begin(status, parcel)

    _beat(status, [parcel], Counts())

    assert [] == log()

    rows.beat(namesake, seconds=-120)
    _beat(status, [parcel], Counts())

    assert [status.relay_id] == [row.id for row in rows.all()]
    assert ["did not end properly" in line for line in log()] == [True]


@pytest.mark.skipif(not Path("/proc/self/ns/pid").exists(), reason="There are none.")
def test_row_tells_containers_apart(
    new_status: t.Any, parcel: SignalModel, rows: Rows
) -> None:
    """By the boot of the machine, and by the namespace of processes."""
    _begin(new_status(), parcel)
    (row,) = rows.all()
    boot, namespace = row.namespace.split()

    assert Path("/proc/sys/kernel/random/boot_id").read_text() == f"{boot}\n"
    assert str(Path("/proc/self/ns/pid").readlink()) == namespace


@pytest.mark.databases
def test_relays_that_live_are_left_alone(
    new_status: t.Any, parcel: SignalModel, rows: Rows
) -> None:
    """In this process, on this host, or elsewhere."""
    first = new_status()
    _begin(first, parcel)
    others = {
        first.relay_id,
        rows.add(),
        rows.add(host=_row.host_name(), process=os.getppid()),
    }

    assert not _begin(new_status(), parcel)
    assert others < {row.id for row in rows.all()}


@pytest.mark.databases
def test_unclean_end_is_found_by_one(
    new_status: t.Any, parcel: SignalModel, rows: Rows, ended_process: int
) -> None:
    """Of relays that start together."""
    rows.add(host=_row.host_name(), process=ended_process)
    answers: list[bool] = []
    barrier = threading.Barrier(3)

    def begin() -> None:
        status = new_status()
        barrier.wait()
        answers.append(_begin(status, parcel))

    threads = [threading.Thread(target=begin) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [False, False, True] == sorted(answers)
    assert 3 == len(rows.all())


def test_row_that_was_deleted_comes_back(
    new_status: t.Any, parcel: SignalModel, rows: Rows
) -> None:
    """Another relay may have thought that this one is gone."""
    status = new_status()
    _begin(status, parcel)
    rows.execute(sa.delete(rows.table))
    _beat(status, [parcel], Counts())

    assert [status.relay_id] == [row.id for row in rows.all()]


@pytest.mark.databases
def test_table_that_is_missing_is_one_line(
    new_status: t.Any, parcel: SignalModel, rows: Rows, log: t.Any
) -> None:
    """The relay goes on; and once the table is there, it has a row."""
    rows.execute(sa.text(f"DROP TABLE {NAME}"))
    status = new_status()

    assert not _begin(status, parcel)

    _beat(status, [parcel], Counts())
    (line,) = log()

    assert "signalbus_relay cannot be used" in line
    assert "flask db upgrade" in line

    rows.table.create(rows.engine)
    _beat(status, [parcel], Counts())

    assert 1 == len(rows.all())


@pytest.mark.databases
@pytest.mark.usefixtures("with_retry")
def test_table_of_a_model_that_is_missing_is_for_its_lane(
    new_status: t.Any, parcel: SignalModel, rows: Rows, bus: SignalBus
) -> None:
    """The relay begins all the same, and looks for others that are gone."""
    attempts = pytest.importorskip("signalbus_retry.attempts")
    gone = rows.add(host=_row.host_name(), process=os.getpid())
    rows.execute(sa.insert(parcel.__table__).values(id=1))
    attempts.Attempts(bus, parcel, gone).begin((1,))
    rows.execute(sa.text("DROP TABLE parcel"))

    assert _begin(new_status(), parcel)


def test_database_that_is_down_is_reported_by_the_lanes(
    new_app: t.Any, log: t.Any
) -> None:
    """Not by this; and the relay is careful, since it knows nothing."""
    from flask_sqlalchemy import SQLAlchemy

    app = new_app("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    db = SQLAlchemy(app)
    bus = SignalBus(db)
    with app.app_context():
        model = _declare(db)
        status = Status(app, bus, "r" * 32)

        assert _begin(status, model)

        status.end()

    assert [] == log()


def test_pool_that_is_exhausted_says_nothing_about_the_table(
    new_app: t.Any, other_url: str, log: t.Any
) -> None:
    """The relay is careful, since it knows nothing."""
    from flask_sqlalchemy import SQLAlchemy

    pool = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.01}
    app = new_app(other_url, SQLALCHEMY_ENGINE_OPTIONS=pool)
    db = SQLAlchemy(app)
    bus = SignalBus(db)
    with app.app_context():
        model = _declare(db)
        db.create_all()
        status = Status(app, bus, "r" * 32)
        with db.engine.connect():
            assert _begin(status, model)
        status.end()

    assert [] == log()


@pytest.mark.databases
def test_each_database_with_models_has_a_row(
    new_app: t.Any, engine_url: str, other_url: str
) -> None:
    """With the models that are there."""
    from flask_sqlalchemy import SQLAlchemy

    app = new_app(engine_url, SQLALCHEMY_BINDS={"other": other_url})
    db = SQLAlchemy(app)
    bus = SignalBus(db)
    with app.app_context():
        models = [_declare(db), _declare(db, "There", __bind_key__="other")]
        db.create_all()
        status = Status(app, bus, "r" * 32)
        _begin(status, *models)
        ((here,), (there,)) = (Rows(db, bind).all() for bind in (None, "other"))

        assert [["Parcel"], ["There"]] == [
            list(json.loads(each.models)) for each in (here, there)
        ]

        status.end()

        assert [] == Rows(db).all() == Rows(db, "other").all()


@pytest.fixture
def two_databases(
    new_app: t.Any, engine_url: str, other_url: str
) -> t.Iterator[tuple[Status, list[SignalModel], list[Rows]]]:
    """Give a status, and a model and the table in each of two databases."""
    from flask_sqlalchemy import SQLAlchemy

    app = new_app(engine_url, SQLALCHEMY_BINDS={"other": other_url})
    db = SQLAlchemy(app)
    bus = SignalBus(db)
    with app.app_context():
        models = [_declare(db), _declare(db, "There", __bind_key__="other")]
        db.create_all()
        status = Status(app, bus, "r" * 32)
        yield status, models, [Rows(db), Rows(db, "other")]
        status.end()


def test_relay_that_is_gone_from_two_databases_is_one_line(
    two_databases: t.Any, ended_process: int, log: t.Any
) -> None:
    """The signals that it was sending are named all the same."""
    status, models, tables = two_databases
    for rows, name in zip(tables, ["Parcel(id=1)", "There(id=2)"], strict=True):
        sending = json.dumps({name: {"sending": name}})
        gone = {"id": "g" * 32, "process": ended_process, "models": sending}
        rows.add(host=_row.host_name(), **gone)
    _begin(status, *models)
    once, *named = log()

    assert "did not end properly" in once
    assert ["Parcel(id=1)", "There(id=2)"] == sorted(
        line.partition(" ended while it was sending ")[2].partition(". ")[0]
        for line in named
    )


def test_missing_table_is_reported_with_its_database(
    two_databases: t.Any, log: t.Any
) -> None:
    """Without a name for the default one."""
    status, models, tables = two_databases
    for rows in tables:
        rows.table.drop(rows.engine)
    _begin(status, *models)
    here, there = sorted(log(), key=lambda line: "in the database" in line)

    assert here.startswith("The table signalbus_relay cannot be used: ")
    assert there.startswith(
        "The table signalbus_relay in the database 'other' cannot be used: "
    )
    for rows in tables:
        rows.table.create(rows.engine)


@pytest.mark.databases
def test_migrations_find_the_table(
    db: SQLAlchemy, bus: SignalBus, app_ctx: object
) -> None:
    """Alembic finds it missing, and has nothing to change in what it has made."""
    autogenerate = pytest.importorskip("alembic.autogenerate")
    migration = pytest.importorskip("alembic.migration")
    _declare(db)

    def missing() -> list[t.Any]:
        with db.engine.connect() as connection:
            context = migration.MigrationContext.configure(
                connection, opts={"compare_type": True, "compare_server_default": True}
            )
            return list(autogenerate.compare_metadata(context, db.metadata))

    assert {NAME, "parcel"} == {change[1].name for change in missing()}

    db.create_all()

    assert [] == missing()


def _begin(status: Status, *models: SignalModel) -> bool:
    """Write the rows, and tell whether the relay has to be careful."""
    status.begin(models)
    return True in {status.must_be_careful(model) for model in models}


def _beat(status: Status, models: list[SignalModel], counts: Counts) -> None:
    """Write a heartbeat, and wait until it is written."""
    status.beat(models, counts)
    for thread in threading.enumerate():
        if thread.name == "signalbus-status":
            thread.join()
