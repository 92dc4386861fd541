"""The table of failures is where signal models are, and migrations find it."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus import SignalBusMixin
from signalbus_retry import failures

if t.TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask

NAME = "signalbus_failure"

#: What Alembic runs; the connection and the metadata come from the test.
ENV = """
from alembic import context

given = context.config.attributes
context.configure(
    connection=given["connection"],
    target_metadata=given["metadata"],
    compare_type=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
"""


def _declare(base: t.Any, name: str = "Greeting", **attributes: t.Any) -> type[t.Any]:
    columns = {"id": sa.Column(sa.Integer, primary_key=True)}
    model = type(name, (base,), {**columns, **attributes})
    base.metadata.info.setdefault("models", []).append(model)  # as if a module held it
    return model


def _declare_signal(base: t.Any, *names: str, **attributes: t.Any) -> type[t.Any]:
    return _declare(base, *names, **attributes, send_signalbus_message=_fail)


def _fail(signal: t.Any) -> None:
    raise ValueError("boom")


def _tables(db: SQLAlchemy) -> dict[str | None, list[str]]:
    return {key: sorted(each.tables) for key, each in db.metadatas.items()}


def _real_tables(engine: sa.Engine) -> list[str]:
    return sorted(sa.inspect(engine).get_table_names())


@pytest.fixture
def app(new_app: t.Any, engine_url: str, other_url: str) -> Flask:
    """Give an app with a second database."""
    binds = {"other": other_url}
    return t.cast("Flask", new_app(engine_url, SQLALCHEMY_BINDS=binds))


def test_table_is_where_signal_models_are(db: SQLAlchemy, bus: SignalBus) -> None:
    """As soon as the class has been made: mappers need not be configured."""
    model = _declare_signal(db.Model)

    assert NAME in db.metadata.tables
    assert not sa.inspect(model, raiseerr=True).configured


def test_table_is_nowhere_without_signal_models(db: SQLAlchemy, bus: SignalBus) -> None:
    """A database without signals gets no table of ours."""
    _declare(db.Model)
    _declare(db.Model, "There", __bind_key__="other")
    sa_orm.configure_mappers()

    assert {None: ["greeting"], "other": ["there"]} == _tables(db)


@pytest.mark.parametrize("key", [None, "other"])
def test_each_bind_has_its_own(db: SQLAlchemy, bus: SignalBus, key: str | None) -> None:
    """Only the databases of signal models have the table."""
    binds = {None, "other"}
    _declare_signal(db.Model, "Sent", __bind_key__=key)
    (rest,) = binds - {key}
    _declare(db.Model, "Kept", __bind_key__=rest)

    assert {key: ["sent", NAME], rest: ["kept"]} == _tables(db)


def test_both_binds_may_have_it(db: SQLAlchemy, bus: SignalBus) -> None:
    """Where both have signal models."""
    _declare_signal(db.Model, "Here")
    _declare_signal(db.Model, "There", __bind_key__="other")
    _declare_signal(db.Model, "Elsewhere", __bind_key__="other")

    assert {None: ["here", NAME], "other": ["elsewhere", NAME, "there"]} == (
        {key: sorted(names) for key, names in _tables(db).items()}
    )


def test_models_may_come_before_the_bus(db: SQLAlchemy) -> None:
    """A bus that is made late adds the table to what there is."""
    _declare_signal(db.Model)

    assert NAME not in db.metadata.tables

    SignalBus(db)

    assert NAME in db.metadata.tables


def test_factory_has_it_before_there_is_an_app(new_app: t.Any, engine_url: str) -> None:
    """A bus that is made without an app knows what is in the metadata."""

    class Database(SignalBusMixin, SQLAlchemy):
        pass

    db = Database()
    model = _declare_signal(db.Model)

    assert db.signalbus
    assert NAME in db.metadata.tables

    app = new_app(engine_url)
    db.init_app(app)
    with app.app_context():
        db.create_all()

        assert [] == list(failures(db.signalbus, [model]))


def test_broker_makes_a_signal_model(db: SQLAlchemy, bus: SignalBus) -> None:
    """A model that names a broker is one, too."""
    _declare(db.Model, signalbus_broker="nobody")

    assert NAME in db.metadata.tables


def test_plugin_that_is_off_adds_nothing(
    db: SQLAlchemy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then there are no failures to keep."""
    monkeypatch.setenv("SIGNALBUS_DISABLED_PLUGINS", "relay,retry")
    SignalBus(db)
    _declare_signal(db.Model)

    assert ["greeting"] == list(db.metadata.tables)


@pytest.mark.databases
def test_create_all_creates_it(db: SQLAlchemy, bus: SignalBus, app_ctx: object) -> None:
    """In the databases of signal models, and in no other; drop_all drops it."""
    _declare_signal(db.Model, "Sent")
    _declare(db.Model, "Kept", __bind_key__="other")
    db.create_all()

    assert ["sent", NAME] == _real_tables(db.engine)
    assert ["kept"] == _real_tables(db.engines["other"])

    db.create_all()
    db.drop_all()

    assert [] == _real_tables(db.engine)


@pytest.mark.databases
@pytest.mark.parametrize("key", [None, "other"])
def test_failures_are_kept_beside_their_signals(
    db: SQLAlchemy, bus: SignalBus, app_ctx: object, entries: t.Any, key: str | None
) -> None:
    """In one transaction, thus in one database."""
    model = _declare_signal(db.Model, "Sent", __bind_key__=key)
    db.create_all()
    db.session.add(model())
    db.session.commit()

    assert ["[1]"] == [each.key for each in entries(key)]
    assert [(1,)] == [each.key for each in failures(bus)]


@pytest.mark.databases
def test_two_binds_are_listed_together(
    db: SQLAlchemy, bus: SignalBus, app_ctx: object
) -> None:
    """Wherever signals are, their failures are found."""
    models = [
        _declare_signal(db.Model, "Here"),
        _declare_signal(db.Model, "There", __bind_key__="other"),
    ]
    db.create_all()
    db.session.add_all([model() for model in models])
    db.session.commit()

    assert models == [each.model for each in failures(bus)]


@pytest.mark.databases("postgresql")
def test_table_is_in_the_schema_of_the_metadata(
    new_app: t.Any, engine_url: str
) -> None:
    """Like all tables of the application that do not say where they are."""
    app = new_app(engine_url)
    db = SQLAlchemy(app, metadata=sa.MetaData(schema="shop"))
    bus = SignalBus(db)
    model = _declare_signal(db.Model)
    with app.app_context():
        with db.engine.begin() as connection:
            connection.execute(sa.schema.CreateSchema("shop"))
        db.create_all()
        db.session.add(model())
        db.session.commit()

        assert [] == _real_tables(db.engine)
        assert [(1,)] == [each.key for each in failures(bus)]


@pytest.mark.databases
def test_naming_conventions_hold(new_app: t.Any, engine_url: str) -> None:
    """The table can be made whatever the application calls its constraints."""
    convention = {
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
    app = new_app(engine_url)
    db = SQLAlchemy(app, metadata=sa.MetaData(naming_convention=convention))
    SignalBus(db)
    _declare_signal(db.Model)
    with app.app_context():
        db.create_all()

        assert ["greeting", NAME] == _real_tables(db.engine)


class Migrations:
    """The migrations of an app, which Alembic writes and runs."""

    def __init__(self, folder: Path, db: SQLAlchemy, key: str | None) -> None:
        from alembic import command
        from alembic import config

        self.command = command
        self.folder = folder
        self.config = config.Config(f"{folder}.ini")
        self.config.set_main_option("script_location", str(folder))
        command.init(self.config, str(folder))
        folder.joinpath("env.py").write_text(ENV)
        self.engine = db.engines[key]
        self.metadata = db.metadatas[key]

    def write(self) -> str:
        """Return what autogenerate writes."""
        before = set(self.folder.glob("versions/*.py"))
        self._run(self.command.revision, autogenerate=True)
        (new,) = set(self.folder.glob("versions/*.py")) - before
        return new.read_text()

    def upgrade(self) -> None:
        """Run all migrations."""
        self._run(self.command.upgrade, "head")

    def downgrade(self) -> None:
        """Undo all migrations."""
        self._run(self.command.downgrade, "base")

    def check(self) -> None:
        """Raise if autogenerate finds anything to change."""
        self._run(self.command.check)

    def _run(self, command: t.Any, *arguments: t.Any, **options: t.Any) -> None:
        with self.engine.begin() as connection:
            self.config.attributes["connection"] = connection
            self.config.attributes["metadata"] = self.metadata
            command(self.config, *arguments, **options)


@pytest.fixture
def migrations(
    db: SQLAlchemy, bus: SignalBus, app_ctx: object, tmp_path: Path
) -> t.Callable[..., Migrations]:
    """Begin the migrations of one of the app's databases."""
    pytest.importorskip("alembic")
    return lambda key=None: Migrations(tmp_path / f"migrations_{key}", db, key)


@pytest.mark.databases
def test_alembic_finds_the_table(
    db: SQLAlchemy, bus: SignalBus, migrations: t.Any
) -> None:
    """Its migration makes the table, and a second one has nothing to change."""
    model = _declare_signal(db.Model)
    alembic = migrations()
    written = alembic.write()

    assert f"op.create_table('{NAME}'" in written.replace("\n    ", "")

    alembic.upgrade()
    alembic.check()

    db.session.add(model())
    db.session.commit()

    assert [1] == [each.attempts for each in failures(bus)]

    alembic.downgrade()

    assert ["alembic_version"] == _real_tables(db.engine)


@pytest.mark.databases
def test_alembic_has_nothing_to_change_after_create_all(
    db: SQLAlchemy, migrations: t.Any
) -> None:
    """Both ways make the same table."""
    _declare_signal(db.Model)
    db.create_all()
    migrations().check()

    assert NAME in _real_tables(db.engine)


@pytest.mark.databases
def test_alembic_adds_the_table_to_an_old_database(
    db: SQLAlchemy, migrations: t.Any
) -> None:
    """When the plugin is installed later, the migration has the table alone."""
    model = _declare_signal(db.Model)
    model.__table__.create(db.engine)
    alembic = migrations()
    written = alembic.write()

    assert 1 == written.count("op.create_table(")
    assert NAME in written

    alembic.upgrade()
    alembic.check()


def test_alembic_finds_nothing_where_no_signal_models_are(
    db: SQLAlchemy, migrations: t.Any
) -> None:
    """Each database has migrations of its own."""
    _declare_signal(db.Model, "Sent")
    _declare(db.Model, "Kept", __bind_key__="other")
    written = {key: migrations(key).write() for key in (None, "other")}

    assert NAME in written[None]
    assert NAME not in written["other"]
