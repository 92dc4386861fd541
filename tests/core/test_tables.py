"""Plugins add tables of their own to the databases that have signal models."""

from __future__ import annotations

import gc
import importlib.metadata
import typing as t
import weakref

import journal
import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus import SignalBusMixin
from signalbus import hookimpl
from signalbus._plugin_tables import PluginTables

if t.TYPE_CHECKING:
    from flask import Flask


class Listed:
    """Keeps what it is called with."""

    def __init__(self) -> None:
        """Begin with no calls."""
        self.calls: list[tuple[SignalBus, sa.MetaData]] = []

    @hookimpl
    def signalbus_tables(self, bus: SignalBus, metadata: sa.MetaData) -> None:
        """Keep the call."""
        self.calls.append((bus, metadata))

    @property
    def metadatas(self) -> list[sa.MetaData]:
        """What it was called for."""
        return [metadata for _, metadata in self.calls]


class Installed:
    """The entry point of an installed plugin."""

    name = "installed"

    def __init__(self, plugin: object) -> None:
        """Give *plugin* when it is loaded."""
        self.load = lambda: plugin


class Refusing:
    """Refuses each metadata, until it is told to stop."""

    stopped = False

    @hookimpl
    def signalbus_tables(self) -> None:
        """Raise."""
        if not self.stopped:
            raise LookupError("no table")


@pytest.fixture(autouse=True)
def _without_relay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch the plugins off that have tables of their own."""
    monkeypatch.setenv("SIGNALBUS_DISABLED_PLUGINS", "relay,retry")


@pytest.fixture
def app(new_app: t.Any, engine_url: str, other_url: str) -> Flask:
    """Give an app with a second database."""
    app: Flask = new_app(engine_url, SQLALCHEMY_BINDS={"other": other_url})
    return app


@pytest.fixture
def listed(bus: SignalBus) -> Listed:
    """Register a plugin that keeps what it is called with."""
    plugin = Listed()
    bus.plugin_manager.register(plugin)
    return plugin


@pytest.fixture
def new_class() -> t.Callable[..., t.Any]:
    """Execute a class statement, and keep the class, as a module would."""
    kept = []

    def make(name: str, *bases: type[t.Any], **attributes: t.Any) -> t.Any:
        kept.append(type(name, bases, attributes))
        return kept[-1]

    return make


@pytest.fixture
def new_signal(new_class: t.Any) -> t.Callable[..., t.Any]:
    """Declare a signal model with ``new_signal(name, db.Model)``, and nothing else."""
    return lambda *args, **attributes: new_class(
        *args, **{"id": _id(), "signalbus_broker": "memory", **attributes}
    )


def _id(*more: t.Any) -> sa.Column[int]:
    return sa.Column(sa.Integer, *more, primary_key=True)


def _table_names(db: SQLAlchemy, bind_key: str | None = None) -> set[str]:
    return set(sa.inspect(db.engines[bind_key]).get_table_names())


@pytest.mark.databases
def test_hook_signalbus_tables(
    bus: SignalBus, db: SQLAlchemy, app_ctx: object, wire: t.Any, record: t.Any
) -> None:
    """``create_all`` makes the table, though no mapper is configured."""
    bus.plugin_manager.register(journal)

    class Order(db.Model):  # type: ignore[name-defined, misc]
        id = db.Column(db.Integer, primary_key=True)
        text = db.Column(db.String(50))

        @classmethod
        def send_signalbus_message(cls, signal: t.Any) -> None:
            """Send one."""
            wire.carry(signal)

    db.create_all()
    is_configured = sa_orm.class_mapper(Order, configure=False).configured
    record(Order, "a", "b")
    bus.flush()
    lines = db.session.scalars(sa.select(db.metadata.tables["journal"].c.line))

    assert not is_configured
    assert {"Order(id=1)", "Order(id=2)"} == set(lines)


def test_it_is_called_once_for_each_database(
    db: SQLAlchemy,
    bus: SignalBus,
    app_ctx: object,
    listed: Listed,
    new_class: t.Any,
    new_signal: t.Any,
) -> None:
    """The first signal model of a database counts; models without signals do not."""
    new_class("Customer", db.Model, id=_id())
    none = list(listed.calls)
    new_signal("First", db.Model)
    one = list(listed.calls)
    new_signal("Second", db.Model)
    new_signal("There", db.Model, __bind_key__="other")
    bus.get_signal_models()

    here, there = (bus, db.metadata), (bus, db.metadatas["other"])
    assert ([], [here], [here, there]) == (none, one, listed.calls)


def test_database_without_signal_models_is_left_alone(
    db: SQLAlchemy,
    bus: SignalBus,
    app_ctx: object,
    new_class: t.Any,
    new_signal: t.Any,
) -> None:
    """Of two databases, only that with the signal model gets the plugin's table."""
    bus.plugin_manager.register(journal)
    new_signal("Order", db.Model, __bind_key__="other")
    new_class("Customer", db.Model, id=_id())
    db.create_all()

    assert {"customer"} == _table_names(db)
    assert {"order", "journal"} == _table_names(db, "other")


def test_late_plugin_is_called_for_all_databases_so_far(
    db: SQLAlchemy, bus: SignalBus, new_signal: t.Any
) -> None:
    """Whenever a plugin is registered, it misses no database."""
    new_signal("Here", db.Model)
    new_signal("There", db.Model, __bind_key__="other")
    plugin = Listed()
    bus.plugin_manager.register(plugin)

    assert [db.metadata, db.metadatas["other"]] == plugin.metadatas


def test_models_may_come_before_the_bus(db: SQLAlchemy, new_signal: t.Any) -> None:
    """When a bus is made, it looks at the models that exist."""
    new_signal("Order", db.Model)
    plugin = Listed()
    SignalBus(db).plugin_manager.register(plugin)

    assert [db.metadata] == plugin.metadatas


@pytest.mark.parametrize("is_bus_first", [True, False])
def test_app_may_come_last(app: Flask, new_signal: t.Any, is_bus_first: bool) -> None:
    """In a factory, models are there before any app, after the bus or before it."""
    db = SQLAlchemy()
    bus = SignalBus(db) if is_bus_first else None
    new_signal("Order", db.Model)
    bus = bus or SignalBus(db)
    bus.plugin_manager.register(journal)
    db.init_app(app)
    bus.init_app(app)
    with app.app_context():
        db.create_all()

        assert {"order", "journal"} == _table_names(db)


@pytest.mark.parametrize("is_app_first", [True, False])
def test_mixin_makes_the_bus(app: Flask, new_signal: t.Any, is_app_first: bool) -> None:
    """With the mixin, too, whether the app comes before the models or after them."""

    class Database(SignalBusMixin, SQLAlchemy):
        """A database with a bus."""

    db = Database(app) if is_app_first else Database()
    new_signal("Order", db.Model)
    if not is_app_first:
        db.init_app(app)
    db.signalbus.plugin_manager.register(journal)

    assert {"order", "journal"} == db.metadata.tables.keys()


@pytest.mark.parametrize("is_mixin", [True, False])
def test_bases_without_a_table_do_not_count(
    db: SQLAlchemy, listed: Listed, new_class: t.Any, is_mixin: bool
) -> None:
    """An abstract base or a mixin has no table: the models that are made of it have."""
    own = {"signalbus_broker": "memory", "__abstract__": True}
    base = new_class("Base", *(() if is_mixin else (db.Model,)), **own)
    before = list(listed.metadatas)
    bases = (base, db.Model) if is_mixin else (base,)
    new_class("Order", *bases, id=_id(), __abstract__=False)

    assert ([], [db.metadata]) == (before, listed.metadatas)


#: How a model may inherit from another.
INHERITANCE: dict[str, dict[str, t.Any]] = {
    "single": {"polymorphic_identity": "order"},
    "joined": {"polymorphic_identity": "order"},
    "concrete": {"polymorphic_identity": "order", "concrete": True},
}


@pytest.mark.parametrize("kind", INHERITANCE)
def test_model_may_inherit_from_another(
    db: SQLAlchemy, listed: Listed, new_class: t.Any, kind: str
) -> None:
    """A model is a signal model by its own class, though its base is none."""
    on_kind = {"polymorphic_on": "kind", "polymorphic_identity": "document"}
    columns = {"id": _id(), "kind": sa.Column(sa.String(10))}
    base = new_class("Document", db.Model, **columns, __mapper_args__=on_kind)
    before = list(listed.metadatas)
    own = {"single": {}, "joined": {"id": _id(sa.ForeignKey("document.id"))}}
    new_class(
        "Order",
        base,
        signalbus_broker="memory",
        __mapper_args__=INHERITANCE[kind],
        **own.get(kind, {"id": _id(), "kind": sa.Column(sa.String(10))}),
    )

    assert ([], [db.metadata]) == (before, listed.metadatas)


def test_model_may_be_mapped_imperatively(
    db: SQLAlchemy, listed: Listed, new_class: t.Any
) -> None:
    """What counts is the registry and the table, not the base class."""
    model = new_class("Order", signalbus_broker="memory")
    db.Model.registry.map_imperatively(
        model, db.Table("order", sa.Column("id", sa.Integer, primary_key=True))
    )

    assert [db.metadata] == listed.metadatas


def test_models_of_others_are_not_touched(listed: Listed, new_signal: t.Any) -> None:
    """Neither those of another database object, nor those of any other registry."""
    new_signal("Order", SQLAlchemy().Model)
    new_signal("Order", sa_orm.declarative_base(), __tablename__="order")

    assert [] == listed.calls


def test_model_may_get_its_method_later(
    db: SQLAlchemy, bus: SignalBus, listed: Listed, new_class: t.Any
) -> None:
    """Then its database is found when models are looked up; nothing was kept of it."""
    order = new_class("Order", db.Model, id=_id())
    before = list(listed.calls)
    order.signalbus_broker = "memory"

    assert [order] == bus.get_signal_models()
    assert ([], [db.metadata]) == (before, listed.metadatas)


def test_plugin_may_map_its_table(
    db: SQLAlchemy, bus: SignalBus, new_signal: t.Any
) -> None:
    """A class that a plugin maps does not begin it all again."""
    calls = []

    class Mapping:
        @hookimpl
        def signalbus_tables(self, bus: SignalBus) -> None:
            calls.append(new_signal("Mapped", bus.db.Model))

    bus.plugin_manager.register(Mapping())
    new_signal("Order", db.Model)

    assert 1 == len(calls)


def test_error_ends_the_class_statement(
    db: SQLAlchemy, bus: SignalBus, new_signal: t.Any
) -> None:
    """And that of the next signal model, so that no table is missing silently."""
    refusing, listed = Refusing(), Listed()
    bus.plugin_manager.register(listed)
    bus.plugin_manager.register(refusing)  # called first
    for name in ("First", "Second"):
        with pytest.raises(LookupError, match="no table"):
            new_signal(name, db.Model)
    refusing.stopped = True
    new_signal("Third", db.Model)

    assert [db.metadata] == listed.metadatas


def test_error_leaves_no_bus_behind(
    db: SQLAlchemy, app: Flask, new_signal: t.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bus that cannot be made has no app, and another one can be made."""
    new_signal("Order", db.Model)
    refusing = Refusing()
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: [Installed(refusing)]
    )
    with pytest.raises(LookupError, match="no table"):
        SignalBus(db)

    assert "signalbus" not in app.extensions
    refusing.stopped = True
    assert SignalBus(db) is app.extensions["signalbus"]


def test_listening_keeps_nothing_alive(
    db: SQLAlchemy, bus: SignalBus, listed: Listed, new_signal: t.Any
) -> None:
    """Classes are mapped for ever, and a bus may be gone."""
    tables = PluginTables(bus)
    tables.listen()
    left = weakref.ref(tables)
    del tables
    gc.collect()
    new_signal("Order", db.Model)

    assert left() is None
    assert [db.metadata] == listed.metadatas
