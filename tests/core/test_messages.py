"""Without a schema, the body of a signal is JSON of its columns."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import json
import types
import typing as t
import uuid

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from signalbus.messages import MessageFactory


class Color(enum.Enum):
    """An enum like any other."""

    RED = "the color red"


class Size(str, enum.Enum):
    """An enum whose members JSON would take for strings."""

    SMALL = "s"


class Sizes(sa.types.UserDefinedType[Size]):
    """A type of the database that is an enum in Python."""

    cache_ok = True


def model(**columns: t.Any) -> t.Any:
    """Map a class with these columns, and a key if there is none among them."""
    keyed = any(column.primary_key for column in columns.values())
    key = {} if keyed else {"id": sa.Column(sa.Integer, primary_key=True)}
    base = sa_orm.declarative_base()
    return type("Paid", (base,), {"__tablename__": "paid", **key, **columns})


@pytest.mark.parametrize(
    ("column_type", "value", "expected"),
    [
        (sa.Integer(), 2**60, 2**60),
        (sa.Boolean(), True, True),
        (sa.Text(), "Grüße", "Grüße"),
        (sa.Float(), 0.5, 0.5),
        (sa.Numeric(), decimal.Decimal("1.10"), "1.10"),
        (sa.Date(), dt.date(2024, 2, 29), "2024-02-29"),
        (sa.Time(), dt.time(12, 30), "12:30:00"),
        (
            sa.DateTime(timezone=True),
            dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc),
            "2024-01-01T00:00:00+00:00",
        ),
        (sa.Interval(), dt.timedelta(hours=1), 3600.0),
        (sa.Uuid(), uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (sa.LargeBinary(), b"\x00\xff", "AP8="),
        (sa.LargeBinary(), memoryview(b"\x00\xff"), "AP8="),
        (sa.Enum(Color), Color.RED, "RED"),
        (sa.Enum(Size), Size.SMALL, "SMALL"),
        (sa.ARRAY(sa.Enum(Size)), [Size.SMALL, None], ["SMALL", None]),
        (
            sa.ARRAY(sa.Enum(Size), as_tuple=True, dimensions=2),
            ((Size.SMALL, None),),
            [["SMALL", None]],
        ),
        (Sizes(), Size.SMALL, "SMALL"),
        (sa.JSON(), {"a": [1, None]}, {"a": [1, None]}),
        (sa.Text(), None, None),
    ],
)
def test_every_type_has_its_form(
    column_type: t.Any, value: t.Any, expected: t.Any
) -> None:
    """Dates are ISO 8601, decimals strings, bytes base64, enums names."""
    write = MessageFactory(model(value=sa.Column(column_type))).body

    body = write(types.SimpleNamespace(id=1, value=value))

    assert {"id": 1, "value": expected} == json.loads(body)


def test_attributes_give_the_names() -> None:
    """A column is called what the model calls it, not the database."""
    write = MessageFactory(model(text=sa.Column("TEXT_COL", sa.Text))).body

    assert b'{"id":1,"text":"a"}' == write(types.SimpleNamespace(id=1, text="a"))


def test_a_body_may_have_no_columns() -> None:
    """That something has happened may be all that there is to say."""
    hidden = sa.Column(sa.Integer, primary_key=True, info={"signalbus_body": False})
    write = MessageFactory(model(id=hidden)).body

    assert b"{}" == write(types.SimpleNamespace(id=7))


def test_one_column_is_enough() -> None:
    """A model that has nothing but its key has a body."""
    assert b'{"id":1}' == MessageFactory(model()).body(types.SimpleNamespace(id=1))


@pytest.mark.parametrize("value", [object(), float("nan")])
def test_what_is_no_json_is_an_error(value: t.Any) -> None:
    """Nothing is sent that a consumer could not read."""
    write = MessageFactory(model(value=sa.Column(sa.PickleType))).body

    with pytest.raises((TypeError, ValueError), match="JSON"):
        write(types.SimpleNamespace(id=1, value=value))


def test_a_schema_comes_before_the_columns() -> None:
    """`__marshmallow_schema__`, where there is one, writes the body."""
    paid = model()
    paid.__marshmallow_schema__ = types.SimpleNamespace(dumps=lambda row: f"<{row.id}>")

    factory = MessageFactory(paid)

    assert ("application/json", b"<1>") == (
        factory.content_type,
        factory.body(types.SimpleNamespace(id=1)),
    )


def test_a_broker_may_have_no_bodies() -> None:
    """Where attributes say everything, no value has to have a form in JSON."""
    paid = model(value=sa.Column(sa.PickleType))
    row = types.SimpleNamespace(id=1, value=object())

    message = MessageFactory(paid, has_bodies=False).message(0, row)

    assert ("paid:1", b"") == (message.id, message.body)


def message_id(*values: t.Any) -> str:
    """Return the message id of a signal with this primary key."""
    names = "abc"[: len(values)]
    paid = model(**{n: sa.Column(sa.String, primary_key=True) for n in names})
    row = types.SimpleNamespace(**dict(zip(names, values, strict=True)))
    return MessageFactory(paid).message_id(row)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([7], "paid:7"),
        ([7, "x"], "paid:7,x"),
        (["a,b"], "paid:a%2Cb"),
        ([b"\x01"], "paid:01"),
        ([uuid.UUID(int=1)], "paid:00000000-0000-0000-0000-000000000001"),
        ([dt.date(2024, 2, 29)], "paid:2024-02-29"),
    ],
)
def test_message_ids_are_table_and_key(values: list[t.Any], expected: str) -> None:
    """The id can be read, and is the same whenever the row is sent."""
    assert expected == message_id(*values)


def test_different_keys_have_different_ids() -> None:
    """No separator can be smuggled into a value."""
    assert message_id("a,b", "c") != message_id("a", "b,c")


def test_long_keys_become_digests() -> None:
    """AMQP has 255 bytes for an id; different keys still differ."""
    first, second = message_id("x" * 300 + "1"), message_id("x" * 300 + "2")

    assert first != second
    assert 71 == len(first)


@pytest.mark.parametrize("returned", ["x", 5, [("a", "b")]], ids=["str", "int", "list"])
def test_headers_that_are_not_a_mapping_are_named(returned: t.Any) -> None:
    """The error says which function of which model returned what, and what to do."""
    paid = model()
    paid.signalbus_headers = staticmethod(lambda _: returned)

    with pytest.raises(TypeError, match=r"_headers of Paid returned .* a dict"):
        MessageFactory(paid).message(0, paid(id=1))


@pytest.mark.parametrize(
    "returned", [None, {}, types.MappingProxyType({})], ids=["none", "empty", "proxy"]
)
def test_a_signal_may_have_no_headers(returned: t.Any) -> None:
    """Those of plugins go out nevertheless."""
    paid = model()
    paid.signalbus_headers = staticmethod(lambda _: returned)

    message = MessageFactory(paid).message(0, paid(id=1), {"trace": "1"})

    assert {"trace": "1"} == message.headers
