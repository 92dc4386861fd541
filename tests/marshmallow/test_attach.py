"""Which models get which schemas, and when."""

from __future__ import annotations

import typing as t

import marshmallow
import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from flask_sqlalchemy import SQLAlchemy
from marshmallow import class_registry
from signalbus import SignalBus
from signalbus import SignalModelError
from signalbus_marshmallow import ModelSchema
from signalbus_marshmallow import SignalSchema

if t.TYPE_CHECKING:
    import types


class Own(marshmallow.Schema):
    """A schema that a user wrote."""

    id = marshmallow.fields.Integer()


def define(
    db: SQLAlchemy, name: str, *bases: type[t.Any], **body: t.Any
) -> type[t.Any]:
    """Define a model, by default of a table with an ``id``, and configure it."""
    if not bases or not any(hasattr(base, "__table__") for base in bases):
        body["id"] = db.Column(sa.Integer, primary_key=True)
        bases = (*bases, db.Model)
    model: type[t.Any] = type(db.Model)(name, bases, {"__module__": __name__, **body})
    sa_orm.configure_mappers()
    return model


def send(signal: object) -> None:
    """Stand for a send method of a model."""


def test_every_model_has_a_schema_class(shop: types.SimpleNamespace) -> None:
    """``__marshmallow__`` is a schema class, on signal models and on all others."""
    assert issubclass(shop.Order.__marshmallow__, ModelSchema)
    assert issubclass(shop.Paid.__marshmallow__, SignalSchema)


def test_signal_models_have_an_instance(shop: types.SimpleNamespace) -> None:
    """``__marshmallow_schema__`` of a signal model is a ``__marshmallow__``."""
    assert isinstance(shop.Paid.__marshmallow_schema__, shop.Paid.__marshmallow__)


def test_other_models_have_no_instance(shop: types.SimpleNamespace) -> None:
    """A model that is not sent needs no ``__marshmallow_schema__``."""
    assert not hasattr(shop.Order, "__marshmallow_schema__")


def test_a_broker_makes_a_signal_model(db: SQLAlchemy, bus: SignalBus) -> None:
    """A model that names its broker has an instance, too."""
    model = define(db, "Sent", signalbus_broker="memory")

    assert isinstance(model.__marshmallow_schema__, SignalSchema)


def test_what_the_user_wrote_stays(db: SQLAlchemy, bus: SignalBus) -> None:
    """A ``__marshmallow__`` of the user's own is kept, and the instance is of it."""
    model = define(db, "Sent", __marshmallow__=Own, send_signalbus_message=send)

    assert model.__marshmallow__ is Own
    assert type(model.__marshmallow_schema__) is Own


def test_an_instance_that_the_user_wrote_stays(db: SQLAlchemy, bus: SignalBus) -> None:
    """A ``__marshmallow_schema__`` of the user's own is kept."""
    own = Own()
    model = define(db, "Sent", __marshmallow_schema__=own, send_signalbus_message=send)

    assert model.__marshmallow_schema__ is own


def test_what_the_user_wrote_on_a_mixin_stays(db: SQLAlchemy, bus: SignalBus) -> None:
    """A schema that the user wrote is inherited like any attribute."""
    mixin = type("Mixin", (), {"__marshmallow__": Own})

    assert define(db, "Sent", mixin).__marshmallow__ is Own


def test_a_mixin_wins_over_a_generated_schema(db: SQLAlchemy, bus: SignalBus) -> None:
    """What the user wrote comes first, though a schema of ours is nearer."""
    parent = define(db, "Parent", send_signalbus_message=send)
    child = define(db, "Child", parent, type("Mixin", (), {"__marshmallow__": Own}))

    assert child.__marshmallow__ is Own
    assert type(child.__marshmallow_schema__) is Own


def test_an_inherited_model_has_its_own_schema(db: SQLAlchemy, bus: SignalBus) -> None:
    """The schema of a base is not the user's, and not the right one for an heir."""
    parent = define(db, "Parent", send_signalbus_message=send)
    child = define(db, "Child", parent, more=db.Column(sa.Text))

    assert {"id", "more"} == child.__marshmallow_schema__.fields.keys()
    assert {"id"} == parent.__marshmallow_schema__.fields.keys()
    assert child is child.__marshmallow__.Meta.model


def test_configuring_again_changes_nothing(shop: types.SimpleNamespace) -> None:
    """The hook may be called any number of times."""
    before = dict(vars(shop.Paid))
    sa_orm.configure_mappers()
    define(shop.db, "Later")

    assert before == dict(vars(shop.Paid))


def test_models_that_come_later_are_included(shop: types.SimpleNamespace) -> None:
    """A model defined after the first configuration has schemas, too."""
    later = define(shop.db, "Later", send_signalbus_message=send)

    assert later.__marshmallow_schema__.opts.model is later


def test_the_instance_is_made_once(shop: types.SimpleNamespace) -> None:
    """A schema is not made for every message."""
    assert shop.Paid.__marshmallow_schema__ is shop.Paid().__marshmallow_schema__


def test_a_schema_set_later_is_followed(shop: types.SimpleNamespace) -> None:
    """Where the user replaces ``__marshmallow__``, the instance is of the new one."""
    assert type(shop.Paid.__marshmallow_schema__) is not Own
    shop.Paid.__marshmallow__ = Own

    assert type(shop.Paid.__marshmallow_schema__) is Own


@pytest.fixture
def refused(db: SQLAlchemy, bus: SignalBus) -> t.Iterator[type[t.Any]]:
    """Give a model that is refused for its name."""
    yield define(db, "PaidSchema")
    db.Model.registry.dispose()


def test_a_model_named_like_a_schema_is_refused(
    refused: type[t.Any], bus: SignalBus
) -> None:
    """The error names the model whose name ends in ``Schema``, and what to do."""
    with pytest.raises(SignalModelError, match=r"'PaidSchema'.*Rename it"):
        bus.get_signal_models()


def test_a_refused_model_spoils_no_other(
    refused: type[t.Any], db: SQLAlchemy, bus: SignalBus
) -> None:
    """All others have their schemas, whatever the order."""
    later = define(db, "Later", send_signalbus_message=send)

    assert isinstance(later.__marshmallow_schema__, SignalSchema)


def test_a_model_named_like_a_schema_may_bring_its_own(
    db: SQLAlchemy, bus: SignalBus
) -> None:
    """Nothing needs to be named after a model that has a schema."""
    model = define(db, "PaidSchema", __marshmallow__=Own)

    assert model.__marshmallow__ is Own


def test_names_of_our_schemas_are_nobodys(shop: types.SimpleNamespace) -> None:
    """A user's own ``PaidSchema`` can be found by name, for ours is not registered."""
    assert shop.Paid.__marshmallow__.__name__ == "PaidSchema"
    with pytest.raises(marshmallow.exceptions.RegistryError, match="not found"):
        class_registry.get_class("PaidSchema")


def test_two_databases_may_have_models_of_one_name(
    shop: types.SimpleNamespace,
    new_app: t.Callable[..., t.Any],
    other_url: str,
) -> None:
    """Each of the models has the schema of its own columns."""
    other_db = SQLAlchemy(new_app(other_url))
    SignalBus(other_db)
    other = define(other_db, "Paid", send_signalbus_message=send)

    assert {"id"} == other.__marshmallow_schema__.fields.keys()
    assert "amount" in shop.Paid.__marshmallow_schema__.fields
