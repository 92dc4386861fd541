"""Primary keys as JSON, which entries have, and as people type them."""

from __future__ import annotations

import binascii
import contextlib
import datetime as dt
import decimal
import enum
import hashlib
import json
import typing as t
import uuid

import sqlalchemy as sa
from signalbus import SignalBusError

if t.TYPE_CHECKING:
    from signalbus import Declaration
    from signalbus.typing import PrimaryKey

#: The largest integer of the column ``number``.
_MAX_NUMBER: t.Final = 2**63 - 1


class KeyFormatError(SignalBusError, ValueError):
    """A primary key is not in the form that its model has. Correct it."""


def identify(declaration: Declaration, key: PrimaryKey) -> str:
    """Return what identifies the signal that has this *key* in its database."""
    name = f"{declaration.table.fullname}\0{as_json(key)}"
    return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()


def as_json(key: PrimaryKey) -> str:
    """Return *key* as a JSON array; one that the database returned, always the same."""
    if len(key) == 1 and type(key[0]) is int:
        return f"[{key[0]}]"
    return json.dumps([as_plain(value) for value in key], ensure_ascii=False)


def from_json(declaration: Declaration, text: str) -> PrimaryKey:
    """Return the key of which *text* is the JSON."""
    return _as_key(declaration, json.loads(text))


def parse(declaration: Declaration, text: str) -> PrimaryKey:
    """Return the key that a person has typed: a value, or a JSON array of values.

    :raises KeyFormatError: if it is not a key of the model.
    """
    for values in _read(text):
        try:
            return _as_key(declaration, values)
        except (ArithmeticError, KeyError, TypeError, ValueError):
            continue
    names = ", ".join(str(column.key) for column in declaration.key_columns)
    example = "the value" if len(declaration.key_columns) == 1 else "a JSON array"
    raise KeyFormatError(
        f"{text!r:.100} is not a primary key of {declaration.model.__name__}. Pass"
        f" {example} of {names}."
    )


def has_numbers(declaration: Declaration) -> bool:
    """Return whether the keys of a model are single integers of at most 64 bits."""
    columns = declaration.key_columns
    kind = columns[0].type
    return (
        len(columns) == 1
        and isinstance(kind, sa.Integer)
        and not getattr(kind, "unsigned", False)
    )


def _read(text: str) -> t.Iterator[object]:
    """Yield what *text* may mean: itself first, since a key may look like JSON."""
    yield [text]
    if text.lstrip().startswith("["):
        with contextlib.suppress(ValueError):
            yield json.loads(text)


def _as_key(declaration: Declaration, values: t.Any) -> PrimaryKey:
    columns = declaration.key_columns
    if not isinstance(values, list) or len(values) != len(columns):
        raise ValueError("not as many values as columns")
    return tuple(
        _as_value(column.type, value)
        for column, value in zip(columns, values, strict=True)
    )


def as_plain(value: t.Any) -> t.Any:
    """Return what stands for *value* in JSON."""
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, (str, int, float)) or value is None:
        return value
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, dt.timedelta):
        return value / dt.timedelta(microseconds=1)
    return str(value)


def _as_value(kind: sa.types.TypeEngine[t.Any], value: t.Any) -> t.Any:
    """Return the value of a column that :func:`as_plain` has made plain."""
    enums = getattr(kind, "enum_class", None)
    if enums is not None:
        return enums[value]
    try:
        python_type = kind.python_type
    except NotImplementedError:
        return value
    return _CONVERTERS.get(python_type, _unchanged)(value)


def _unchanged(value: t.Any) -> t.Any:
    return value


def _integer(value: t.Any) -> int:
    number = int(value)
    if abs(number) > _MAX_NUMBER or isinstance(value, float):
        raise ValueError("not an integer of 64 bits")
    return number


def _boolean(value: t.Any) -> bool:
    if str(value).lower() not in {"true", "false", "1", "0"}:
        raise ValueError("neither true nor false")
    return str(value).lower() in {"true", "1"}


def _bytes(value: str) -> bytes:
    try:
        return bytes.fromhex(value)
    except binascii.Error as error:
        raise ValueError("not hexadecimal") from error


_CONVERTERS: t.Final[dict[type[t.Any], t.Callable[[t.Any], t.Any]]] = {
    int: _integer,
    str: str,
    float: float,
    bool: _boolean,
    bytes: _bytes,
    decimal.Decimal: decimal.Decimal,
    uuid.UUID: uuid.UUID,
    dt.datetime: dt.datetime.fromisoformat,
    dt.date: dt.date.fromisoformat,
    dt.time: dt.time.fromisoformat,
    dt.timedelta: lambda value: dt.timedelta(microseconds=float(value)),
}
