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

#: The types whose values may be enums that JSON would write as strings or numbers.
_MAY_BE_ENUM = (sa.Enum, sa.ARRAY, sa.types.TypeDecorator)


def body_writer(model: type[t.Any]) -> tuple[str, WriteBody]:
    """Return the content type of *model*'s messages, and a function that makes bodies.

    The model's own ``signalbus_body`` comes first, then ``__marshmallow_schema__``,
    then JSON of the columns.
    """
    own = getattr(model, "signalbus_body", None)
    if own is not None:
        return "application/octet-stream", own
    schema = getattr(model, "__marshmallow_schema__", None)
    if schema is not None:
        return "application/json", lambda signal: schema.dumps(signal).encode()
    return "application/json", _json_writer(sa_orm.class_mapper(model))


def _json_writer(mapper: sa_orm.Mapper[t.Any]) -> WriteBody:
    """Return a function that writes the columns of *mapper* as a JSON object."""
    columns = {
        attribute.key: attribute.columns[0]
        for attribute in mapper.column_attrs
        if isinstance(attribute.columns[0], sa.Column)
    }
    names = list(columns)
    enums = [name for name in names if isinstance(columns[name].type, _MAY_BE_ENUM)]
    values = _values_getter(names)

    def write(signal: t.Any) -> bytes:
        content = dict(zip(names, values(signal), strict=True))
        for name in enums:
            content[name] = _by_name(content[name])
        return _encode(content).encode()

    return write


def _values_getter(names: t.Sequence[str]) -> t.Callable[[t.Any], tuple[t.Any, ...]]:
    get = operator.attrgetter(*names)
    return get if len(names) > 1 else lambda signal: (get(signal),)


def _by_name(value: t.Any) -> t.Any:
    """Return *value*, or the name of the enum member that it is."""
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, list):
        return [_by_name(item) for item in value]
    return value


def _as_json(value: t.Any) -> t.Any:
    """Return *value*, of a type that JSON does not have, as one that it has."""
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
