"""What the schemas dump and load."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import typing as t

import marshmallow
import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus_marshmallow import SignalSchema

if t.TYPE_CHECKING:
    import types

    from flask import Flask
    from flask.ctx import AppContext

MESSAGE = {
    "id": 7,
    "order_id": 5,
    "amount": "12.50",
    "at": "2026-02-03T04:05:06",
    "order": 5,
}


def send(signal: object) -> None:
    """Stand for a send method of a model."""


@pytest.fixture
def paid(shop: types.SimpleNamespace) -> t.Any:
    """Give a signal, with its order, that is in no session."""
    return shop.Paid(
        id=7,
        order_id=5,
        amount=decimal.Decimal("12.50"),
        at=dt.datetime(2026, 2, 3, 4, 5, 6),  # noqa: DTZ001 as databases have it
        order=shop.Order(id=5),
    )


@pytest.fixture
def schema(shop: types.SimpleNamespace) -> t.Any:
    """Give the schema of the signal's messages."""
    return shop.Paid.__marshmallow_schema__


@pytest.fixture
def recorded(shop: types.SimpleNamespace, app_ctx: AppContext, paid: t.Any) -> t.Any:
    """Give the session that the signal is recorded in."""
    shop.db.create_all()
    shop.db.session.add(paid)
    shop.db.session.flush()
    return shop.db.session


def row_of(model: type[t.Any], session: t.Any) -> t.Any:
    """Return a signal of *model* in row form."""
    return session.execute(sa.select(*sa.inspect(model).column_attrs)).one()


def test_a_message_has_columns_and_relationships(schema: t.Any, paid: t.Any) -> None:
    """Foreign keys are there, and what they refer to as its primary key."""
    assert json.loads(schema.dumps(paid)) == MESSAGE


def test_a_row_has_no_relationships(
    schema: t.Any, shop: types.SimpleNamespace, recorded: t.Any
) -> None:
    """The message of a row lacks the relationships, and only them."""
    message = json.loads(schema.dumps(row_of(shop.Paid, recorded)))

    assert {**message, "order": 5} == MESSAGE


def test_a_message_loads(schema: t.Any) -> None:
    """Loading gives an instance with the values of the message."""
    paid = schema.loads(json.dumps(MESSAGE))

    assert decimal.Decimal("12.50") == paid.amount
    assert (paid.id, paid.order_id, paid.order.id) == (7, 5, 5)
    assert json.loads(schema.dumps(paid)) == MESSAGE


def test_the_message_of_a_row_loads(
    schema: t.Any, shop: types.SimpleNamespace, recorded: t.Any
) -> None:
    """No relationship is required, though its foreign key is not nullable."""
    paid = schema.loads(schema.dumps(row_of(shop.Paid, recorded)))

    assert (paid.id, paid.order_id, paid.order) == (7, 5, None)


def test_loading_a_message_uses_no_session(
    schema: t.Any, shop: types.SimpleNamespace, recorded: t.Any
) -> None:
    """What is loaded is transient, even if the same row is at hand."""
    loaded = schema.load(MESSAGE)

    assert sa.inspect(loaded).transient
    assert sa.inspect(loaded.order).transient


def test_a_message_may_have_more(schema: t.Any) -> None:
    """Fields that are not known are ignored: the sender may be a version ahead."""
    assert schema.load({**MESSAGE, "news": 1}).id == MESSAGE["id"]


def test_a_relationship_stands_for_its_foreign_key(schema: t.Any) -> None:
    """A message with the relationship alone is complete."""
    paid = schema.load({"amount": "1.00", "order": 5})

    assert (paid.order_id, paid.order.id) == (None, 5)


def test_a_foreign_key_or_its_relationship_is_required(schema: t.Any) -> None:
    """A message that has neither is refused, unless it may be partial."""
    with pytest.raises(marshmallow.ValidationError, match="order_id"):
        schema.load({"amount": "1.00"})

    assert schema.load({"amount": "1.00"}, partial=True).order_id is None


def test_a_list_stands_for_no_key(db: SQLAlchemy, bus: SignalBus) -> None:
    """A primary key is required, though a relationship of many is made by it."""

    class Sent(db.Model):
        key = db.Column(sa.String(9), primary_key=True)
        parent_key = db.Column(sa.ForeignKey("sent.key"))
        heirs = sa_orm.relationship("Sent")
        send_signalbus_message = send

    sa_orm.configure_mappers()

    with pytest.raises(marshmallow.ValidationError, match="key"):
        Sent.__marshmallow_schema__.load({"heirs": []})


def test_a_message_must_not_have_less(schema: t.Any) -> None:
    """A column that is not nullable is required."""
    with pytest.raises(marshmallow.ValidationError, match="amount"):
        schema.load({"order_id": 5})


def test_other_models_load_from_the_session(
    shop: types.SimpleNamespace, recorded: t.Any, paid: t.Any
) -> None:
    """Instances of a model that is no signal model are those of ``db.session``."""
    order = shop.Order.__marshmallow__().load({"id": 5, "note": "new"})

    assert order is paid.order
    assert order.note == "new"


def test_other_models_refuse_what_they_do_not_know(
    shop: types.SimpleNamespace, app_ctx: AppContext
) -> None:
    """Only messages may have more."""
    with pytest.raises(marshmallow.ValidationError, match="Unknown field"):
        shop.Order.__marshmallow__().load({"news": 1})


def test_values_that_json_lacks_are_named(schema: t.Any) -> None:
    """The error says what cannot be written and how to make it possible."""
    render = schema.opts.render_module

    with pytest.raises(TypeError, match=r"type set.*__marshmallow__"):
        render.dumps({1})


def test_a_computed_column_is_dumped_only(db: SQLAlchemy, bus: SignalBus) -> None:
    """A ``column_property`` is part of the message, and no obstacle to loading it."""

    class Sent(db.Model):
        id = db.Column(sa.Integer, primary_key=True)
        half = db.Column(sa.Integer)
        twice = sa_orm.column_property(2 * half)
        send_signalbus_message = send

    sa_orm.configure_mappers()

    schema = Sent.__marshmallow_schema__
    assert schema.fields["twice"].dump_only
    assert schema.load({"id": 7, "twice": 14}).id == 7


def test_a_column_of_an_unknown_type_is_passed_on(
    db: SQLAlchemy, bus: SignalBus
) -> None:
    """A type that marshmallow has no field for keeps no model from being used."""

    class Place(sa.types.UserDefinedType[t.Any]):
        cache_ok = True

    class Sent(db.Model):
        id = db.Column(sa.Integer, primary_key=True)
        place = db.Column(Place)
        send_signalbus_message = send

    sa_orm.configure_mappers()

    assert Sent.__marshmallow_schema__.dump(Sent(place=[1, 2]))["place"] == [1, 2]


def test_attributes_that_cannot_be_read_are_left_out(
    db: SQLAlchemy, bus: SignalBus
) -> None:
    """Composites are there as their columns; write-only relationships are not."""

    class Sent(db.Model):
        id = db.Column(sa.Integer, primary_key=True)
        x = db.Column(sa.Integer)
        parent_id = db.Column(sa.ForeignKey("sent.id"))
        heirs = sa_orm.relationship("Sent", lazy="write_only")
        point = sa_orm.composite(lambda x: x, x)
        send_signalbus_message = send

    sa_orm.configure_mappers()

    assert {"id", "x", "parent_id"} == Sent.__marshmallow_schema__.fields.keys()


def test_fields_are_named_as_on_the_model(db: SQLAlchemy, bus: SignalBus) -> None:
    """The name of the attribute counts, not that of the column."""

    class Sent(db.Model):
        id = db.Column("sent_pk", sa.Integer, primary_key=True)
        count = db.Column("n", sa.Integer)
        send_signalbus_message = send

    sa_orm.configure_mappers()

    assert Sent.__marshmallow_schema__.dump(Sent(id=1, count=2)) == {
        "id": 1,
        "count": 2,
    }


def test_dataclass_models_load(app: Flask) -> None:
    """Attributes that ``__init__`` does not take are set after it."""

    class Base(sa_orm.DeclarativeBase):
        """The base of models that may be dataclasses."""

    db = SQLAlchemy(app, model_class=Base)
    SignalBus(db)

    class Sent(sa_orm.MappedAsDataclass, db.Model):
        id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True, init=False)
        text: sa_orm.Mapped[str]
        send_signalbus_message = send

    sa_orm.configure_mappers()

    sent = Sent.__marshmallow_schema__.load({"id": 3, "text": "hi"})
    assert (sent.id, sent.text) == (3, "hi")


def test_a_reference_needs_its_key_only(db: SQLAlchemy, bus: SignalBus) -> None:
    """What a message refers to is loaded though its ``__init__`` asks for more."""

    class Node(db.Model):
        id = db.Column(sa.Integer, primary_key=True)

        def __init__(self, name: str) -> None:
            raise NotImplementedError(name)

    class Sent(db.Model):
        id = db.Column(sa.Integer, primary_key=True)
        node_id = db.Column(sa.ForeignKey("node.id"))
        node = sa_orm.relationship("Node")
        send_signalbus_message = send

    sa_orm.configure_mappers()

    assert Sent.__marshmallow_schema__.load({"node": 7}).node.id == 7


def test_a_reference_by_several_columns_is_a_dictionary(
    db: SQLAlchemy, bus: SignalBus
) -> None:
    """A key of several columns is dumped and loaded with their names."""

    class Node(db.Model):
        x = db.Column(sa.Integer, primary_key=True)
        y = db.Column(sa.Integer, primary_key=True)
        sent_id = db.Column(sa.ForeignKey("sent.id"))

    class Sent(db.Model):
        id = db.Column(sa.Integer, primary_key=True)
        nodes = sa_orm.relationship("Node")
        send_signalbus_message = send

    sa_orm.configure_mappers()

    message = {"id": 1, "nodes": [{"x": 2, "y": 3}]}
    schema = Sent.__marshmallow_schema__
    assert message == schema.dump(schema.load(message))
    with pytest.raises(marshmallow.ValidationError, match="nodes"):
        schema.load({"nodes": [2]})


@pytest.mark.parametrize("reference", [{}, {"id": 5, "note": "x"}, {"key": 5}])
def test_a_reference_that_is_no_key_is_refused(
    schema: t.Any, reference: dict[str, t.Any]
) -> None:
    """A malformed message is a validation error, whatever is wrong with it."""
    with pytest.raises(marshmallow.ValidationError, match="order"):
        schema.load({**MESSAGE, "order": reference})


def test_a_users_schema_starts_from_ours(
    shop: types.SimpleNamespace, paid: t.Any
) -> None:
    """``SignalSchema`` with a ``Meta`` of one's own is what the plugin makes."""

    class Schema(SignalSchema):
        class Meta(SignalSchema.Meta):
            model = shop.Paid
            fields = ("id", "amount")

    assert Schema().dumps(paid) == '{"id": 7, "amount": "12.50"}'


def test_a_schema_without_loading_gives_dictionaries(
    shop: types.SimpleNamespace,
) -> None:
    """``load_instance=False`` gives plain values, as in marshmallow-sqlalchemy."""
    schema = shop.Order.__marshmallow__(load_instance=False, session=shop.db.session)

    assert schema.load({"id": 5}) == {"id": 5}
