"""All works with every model base that Flask-SQLAlchemy makes, and with a bus."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from flask_sqlalchemy import SQLAlchemy
from flask_sqlalchemy.model import Model
from signalbus import SignalBusMixin
from signalbus_atomic import AtomicProceduresMixin

if t.TYPE_CHECKING:
    from flask import Flask


class Alone(AtomicProceduresMixin, SQLAlchemy):
    """Atomic procedures by themselves."""


class BusFirst(SignalBusMixin, AtomicProceduresMixin, SQLAlchemy):
    """Atomic procedures and a bus."""


class BusSecond(AtomicProceduresMixin, SignalBusMixin, SQLAlchemy):
    """The same, the other way round."""


def default_model() -> type[t.Any]:
    """Answer what is made with no argument at all."""
    return Model


def own_model() -> type[t.Any]:
    """Answer a class that extends the default one."""

    class OwnModel(Model):
        pass

    return OwnModel


def finished_model() -> type[t.Any]:
    """Answer a declarative model class that is complete."""
    return sa_orm.declarative_base(name="Finished")


def declarative_base() -> type[t.Any]:
    """Answer a base in the style of SQLAlchemy 2."""

    class Base(sa_orm.DeclarativeBase):
        pass

    return Base


def declarative_base_no_meta() -> type[t.Any]:
    """Answer a base without a metaclass."""

    class Base(sa_orm.DeclarativeBaseNoMeta):
        pass

    return Base


def dataclass_base() -> type[t.Any]:
    """Answer a base whose models are dataclasses."""

    class Base(sa_orm.MappedAsDataclass, sa_orm.DeclarativeBase):
        pass

    return Base


def dataclass_base_no_meta() -> type[t.Any]:
    """Answer the same without a metaclass."""

    class Base(sa_orm.MappedAsDataclass, sa_orm.DeclarativeBaseNoMeta):
        pass

    return Base


BASES = [
    default_model,
    own_model,
    finished_model,
    declarative_base,
    declarative_base_no_meta,
    dataclass_base,
    dataclass_base_no_meta,
]


@pytest.fixture(params=[Alone, BusFirst, BusSecond])
def extension(request: pytest.FixtureRequest) -> type[SQLAlchemy]:
    """Give the class of the extension."""
    return request.param


@pytest.fixture(params=BASES)
def model_class(request: pytest.FixtureRequest) -> type[t.Any]:
    """Give a model class of each kind that Flask-SQLAlchemy can use."""
    try:
        SQLAlchemy(model_class=request.param())
    except sa.exc.InvalidRequestError:
        pytest.skip("Flask-SQLAlchemy 3.1 makes no dataclass base on SQLAlchemy 2.1")
    return request.param()


@pytest.fixture(params=[False, True], ids=["with app", "with init_app"])
def db(
    request: pytest.FixtureRequest,
    app: Flask,
    extension: type[SQLAlchemy],
    model_class: type[t.Any],
) -> SQLAlchemy:
    """Give an extension, made in both ways."""
    if not request.param:
        return extension(app, model_class=model_class)
    db = extension(model_class=model_class)
    db.init_app(app)
    return db


@pytest.fixture
def note(
    db: AtomicProceduresMixin, model_class: type[t.Any], app_ctx: object
) -> type[t.Any]:
    """Give a model, with a table."""

    class Note(db.Model):
        __tablename__ = "note"
        id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)
        text: sa_orm.Mapped[str] = sa_orm.mapped_column(sa.String(20), default="")

    db.create_all()
    return Note


def test_models_have_the_methods(db: AtomicProceduresMixin, note: type[t.Any]) -> None:
    """Any model finds, locks and identifies its instances, in any block."""

    @db.execute_atomic
    def key() -> object:
        db.session.add(note(id=1, text="hello"))
        assert "hello" == note.lock_instance(1).text
        return note.get_pk_values(note.get_instance(1))

    assert (1,) == key


def test_the_methods_are_no_columns(note: type[t.Any]) -> None:
    """Mapping and dataclass fields are those of the model."""
    assert ["id", "text"] == list(sa.inspect(note).columns.keys())
    assert ["id", "text"] == list(getattr(note, "__dataclass_fields__", ["id", "text"]))


@pytest.mark.parametrize(
    "model_class", [declarative_base, declarative_base_no_meta], indirect=True
)
def test_a_model_may_be_a_dataclass_by_itself(
    db: AtomicProceduresMixin, app_ctx: object
) -> None:
    """The base need not be one for it."""

    class Draft(sa_orm.MappedAsDataclass, db.Model):
        __tablename__ = "draft"
        id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)

    db.create_all()
    db.atomic(lambda: db.session.add(Draft(id=1)))()

    assert Draft(id=1) == Draft.get_instance(1)
