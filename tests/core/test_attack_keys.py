"""Keys, names and mappings that look harmless in a model and are not in SQL."""

from __future__ import annotations

import json
import typing as t

import pytest
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

    NewModel: t.TypeAlias = t.Callable[..., SignalModel]

SILENT = {"signalbus_autoflush": False}


class Pair(sa.TypeDecorator[t.Any]):
    """A pair of numbers, which is a tuple in Python and a text in the database."""

    impl = sa.String(20)
    cache_ok = True

    def process_bind_param(self, value: t.Any, dialect: sa.Dialect) -> t.Any:
        """Write it."""
        return json.dumps(value)

    def process_result_value(self, value: t.Any, dialect: sa.Dialect) -> t.Any:
        """Read it."""
        return tuple(json.loads(value))


def add(db: SQLAlchemy, *signals: object) -> None:
    """Commit *signals*, and let the session forget them."""
    db.session.add_all(signals)
    db.session.commit()
    db.session.close()


@pytest.mark.databases
def test_inheriting_model_may_name_its_key_otherwise(
    db: SQLAlchemy, bus: SignalBus, new_model: NewModel
) -> None:
    """The key of a joined table need not be called as that of its parent."""
    new_model(
        "Parent",
        kind=sa.Column(sa.String(9)),
        __mapper_args__={"polymorphic_on": "kind", "polymorphic_identity": "parent"},
        **SILENT,
    )
    parent = next(model for model in bus.get_signal_models())
    child = type(
        "Child",
        (parent,),
        {
            "child_id": sa.Column(sa.ForeignKey(parent.id), primary_key=True),
            "__mapper_args__": {"polymorphic_identity": "child"},
        },
    )
    db.create_all()
    add(db, child(), child())

    assert bus.flushmany([child]) == 2


@pytest.mark.databases
@pytest.mark.parametrize("method", ["flush", "flushmany", "flushordered"])
def test_key_may_be_a_tuple_in_python(
    db: SQLAlchemy, bus: SignalBus, new_model: NewModel, method: str
) -> None:
    """A list of such keys is no array of two dimensions."""
    column = sa.Column(Pair, primary_key=True)
    pairs = new_model(form="row", id=column, signalbus_burst_count=2, **SILENT)
    add(db, *[pairs(id=(number, number)) for number in range(5)])

    assert getattr(bus, method)() == 5
    assert bus.count_pending() == {pairs: 0}


@pytest.mark.databases
def test_enum_may_be_a_text_in_the_database(
    db: SQLAlchemy, bus: SignalBus, new_model: NewModel
) -> None:
    """Where the database knows of no ENUM, it sorts its values as texts."""
    names = ("z", "a", "m")
    column = sa.Column(sa.Enum(*names, native_enum=False), primary_key=True)
    model = new_model(form="row", id=column, **SILENT)
    add(db, *[model(id=name) for name in names])

    assert bus.flushmany() == 3


class Letter(sa.TypeDecorator[str]):
    """An enum, decorated."""

    impl = sa.Enum("z", "a", "m", name="letter")
    cache_ok = True


@pytest.mark.databases
def test_enum_may_be_decorated(
    db: SQLAlchemy, bus: SignalBus, new_model: NewModel
) -> None:
    """MySQL sorts it by rank, so this is also how a flush goes on behind a key."""
    column = sa.Column(Letter, primary_key=True)
    model = new_model(form="row", id=column, **SILENT)
    add(db, *[model(id=name) for name in ("z", "a", "m")])

    assert bus.flushmany() == 3


@pytest.mark.databases("sqlite", "mariadb")
@pytest.mark.parametrize("name", ["100%", "%s", "a :b", "c\\d"])
def test_names_may_be_strange(
    db: SQLAlchemy, bus: SignalBus, new_model: NewModel, name: str
) -> None:
    """A name that means something to a driver is a name all the same."""
    column = sa.Column(name, sa.Integer, primary_key=True)
    model = new_model(form="row", id=column, __tablename__=f"t{name}", **SILENT)
    add(db, model(), model())

    assert bus.flushmany() == 2


@pytest.fixture
def translated(new_app: t.Callable[..., Flask], engine_url: str) -> Flask:
    """Give an app whose engine finds the tables in the schema that the map names."""
    schema = sa.make_url(engine_url).database
    translation = {"schema_translate_map": {"tenant": schema}}
    options = {"execution_options": translation}
    return new_app(engine_url, SQLALCHEMY_ENGINE_OPTIONS=options)


class TestTranslatedSchema:
    """An engine with a ``schema_translate_map``, as tenants have them."""

    @pytest.fixture
    def app(self, translated: Flask) -> Flask:
        """Take the app with the map."""
        return translated

    @pytest.mark.databases("mariadb")
    def test_rows_are_deleted_where_they_are(
        self, db: SQLAlchemy, bus: SignalBus, new_model: NewModel
    ) -> None:
        """The DELETE speaks of the same table as the SELECT."""
        model = new_model(form="row", __table_args__={"schema": "tenant"}, **SILENT)
        add(db, model(), model())

        assert bus.flushmany() == 2
