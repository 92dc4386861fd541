"""Make the bodies of messages from signals."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import enum
import json
import operator
import typing as t
import uuid

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

WriteBody: t.TypeAlias = t.Callable[[t.Any], bytes]

ReadColumns: t.TypeAlias = t.Callable[[t.Any], dict[str, t.Any]]

#: The content types of bodies.
BYTES = "application/octet-stream"
JSON = "application/json"

#: The key in the ``info`` of a column: ``False`` leaves the column out of messages.
IN_BODY: t.Final = "signalbus_body"

#: What :func:`body_writer` returns for messages that have no body.
NO_BODY: t.Final[tuple[str, WriteBody]] = (BYTES, lambda _: b"")

#: The types whose values may be enums that JSON would write as strings or numbers.
_MAY_BE_ENUM = (
    sa.Enum,
    sa.ARRAY,
    sa.types.TypeDecorator,
    sa.types.UserDefinedType,
)


def body_writer(model: type[t.Any]) -> tuple[str, WriteBody]:
    """Return the content type of *model*'s messages, and a function that makes bodies.

    It uses the model's own ``signalbus_body``, or else its ``__marshmallow_schema__``,
    or else JSON of the columns.
    """
    own = getattr(model, "signalbus_body", None)
    if own is not None:
        return BYTES, own
    schema = getattr(model, "__marshmallow_schema__", None)
    if schema is not None:
        return JSON, lambda signal: schema.dumps(signal).encode()
    read = columns_reader(model)
    return JSON, lambda signal: _encode(read(signal)).encode()


def message_columns(model: type[t.Any]) -> dict[str, sa.Column[t.Any]]:
    """Return the columns of *model* that go into its messages, by attribute name.

    Columns with ``info={"signalbus_body": False}`` are left out, such as the column of
    a trace.
    """
    return {
        attribute.key: attribute.columns[0]
        for attribute in sa_orm.class_mapper(model).column_attrs
        if isinstance(attribute.columns[0], sa.Column)
        and attribute.columns[0].info.get(IN_BODY, True)
    }


def columns_reader(model: type[t.Any]) -> ReadColumns:
    """Return a function that returns the values of a signal's :func:`message_columns`.

    The values are in a new ``dict``, by attribute name. An enum member is replaced by
    its name.
    """
    columns = message_columns(model)
    names = list(columns)
    enums = [name for name in names if isinstance(columns[name].type, _MAY_BE_ENUM)]
    values = _values_getter(names)

    def read(signal: t.Any) -> dict[str, t.Any]:
        content = dict(zip(names, values(signal), strict=True))
        for name in enums:
            content[name] = _by_name(content[name])
        return content

    return read


def _values_getter(names: t.Sequence[str]) -> t.Callable[[t.Any], tuple[t.Any, ...]]:
    if not names:
        return lambda _: ()
    get = operator.attrgetter(*names)
    return get if len(names) > 1 else lambda signal: (get(signal),)


def _by_name(value: t.Any) -> t.Any:
    """Return *value*, or its name if it is an enum member."""
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, list):
        return [_by_name(item) for item in value]
    if type(value) is tuple:
        return tuple(map(_by_name, value))
    return value


def _as_json(value: t.Any) -> t.Any:
    """Convert *value*, whose type JSON does not have, to one that it has."""
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if isinstance(value, enum.Enum):
        return value.name
    raise TypeError(
        f"JSON has no type for a {type(value).__name__}. Install signalbus-marshmallow,"
        " or define signalbus_body(signal) on the model."
    )


_encode = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_as_json
).encode
