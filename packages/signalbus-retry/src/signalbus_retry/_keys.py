"""Convert primary keys to the JSON of entries and to text for people, and back."""

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
import sqlalchemy.dialects.mysql as sa_mysql
import sqlalchemy.engine.default as sa_default
from signalbus import SignalBusError
from sqlalchemy.dialects.mysql.mariadb import MariaDBDialect

if t.TYPE_CHECKING:
    from signalbus import Declaration
    from signalbus.typing import PrimaryKey

Kind: t.TypeAlias = "sa.types.TypeEngine[t.Any]"

#: The largest integer of the column ``number``, and the largest one without a sign.
_MAX_NUMBER: t.Final = 2**63 - 1
_MAX_UNSIGNED: t.Final = 2**64 - 1

#: The dialect for which custom types of the application convert their values. It is
#: always the same, so that a key always has the same JSON.
_DIALECT: t.Final[sa.Dialect] = sa_default.DefaultDialect()

#: The dialects that have integers without a sign.
_WITH_UNSIGNED: t.Final = (sa_mysql.dialect(), MariaDBDialect())


class KeyFormatError(SignalBusError, ValueError):
    """A primary key is not in the form that its model has. Correct it."""


def identify(declaration: Declaration, key: PrimaryKey) -> str:
    """Return what identifies the signal that has this *key* in its database."""
    name = f"{declaration.table.fullname}\0{as_json(declaration, key)}"
    return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()


def as_json(declaration: Declaration, key: PrimaryKey) -> str:
    """Return *key*, as the database returned it, as a JSON array."""
    kinds = [column.type for column in declaration.key_columns]
    if len(key) == 1 and type(key[0]) is int and not _is_decorator(kinds[0]):
        return f"[{key[0]}]"
    plain = [as_plain(_undecorated(*pair)) for pair in zip(kinds, key, strict=True)]
    return json.dumps(plain, ensure_ascii=False)


def from_json(declaration: Declaration, text: str) -> PrimaryKey | None:
    """Return the key with the JSON *text*.

    ``None`` if the model cannot have such a key, because its keys once had other types.
    """
    try:
        return _as_key(declaration, json.loads(text))
    except Exception:  # noqa: BLE001 a type of the application's own may do anything
        return None


def parse(declaration: Declaration, text: str) -> PrimaryKey:
    """Return the key that a person has typed: a value, or a JSON array of values.

    :raises KeyFormatError: if it is not a key of the model.
    """
    for values in _read(text):
        try:
            return _as_key(declaration, values)
        except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
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
    return len(columns) == 1 and isinstance(kind, sa.Integer) and not _is_unsigned(kind)


def _read(text: str) -> t.Iterator[object]:
    """Yield the possible meanings of *text*. It comes first itself, as a string."""
    if not _is_encodable(text):
        return
    yield [text]
    if text.lstrip().startswith("["):
        with contextlib.suppress(ValueError, RecursionError):
            yield json.loads(text)


def _is_encodable(text: str) -> bool:
    """Return whether *text* is valid: a shell may pass bytes that are not UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _as_key(declaration: Declaration, values: t.Any) -> PrimaryKey:
    columns = declaration.key_columns
    if not isinstance(values, list) or len(values) != len(columns):
        raise ValueError("not as many values as columns")
    return tuple(
        _as_value(column.type, value)
        for column, value in zip(columns, values, strict=True)
    )


def as_plain(value: t.Any) -> t.Any:
    """Return the JSON representation of *value*."""
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, (str, int, float)) or value is None:
        return value
    if isinstance(value, (dt.date, dt.time)):
        return _in_utc(value).isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, dt.timedelta):
        return value / dt.timedelta(microseconds=1)
    return str(value)


def _in_utc(value: dt.date | dt.time) -> dt.date | dt.time:
    """Normalize *value*, which depends on the time zone of the connection."""
    if not isinstance(value, dt.datetime) or value.tzinfo is None:
        return value
    return value.astimezone(dt.timezone.utc)


def _undecorated(kind: Kind, value: t.Any) -> t.Any:
    """Return *value* as converted by a custom type of the application."""
    if not _is_decorator(kind):
        return value
    if _overrides(kind, "process_bind_param"):
        value = kind.process_bind_param(value, _DIALECT)
    return _undecorated(kind.load_dialect_impl(_DIALECT), value)


def _as_value(kind: Kind, value: t.Any) -> t.Any:
    """Return the value of a column that :func:`as_plain` has made plain."""
    if _is_decorator(kind):
        value = _as_value(kind.load_dialect_impl(_DIALECT), value)
        if _overrides(kind, "process_result_value"):
            return kind.process_result_value(value, _DIALECT)
        return value
    enums = getattr(kind, "enum_class", None)
    if enums is not None:
        return enums[value]
    try:
        python_type = kind.python_type
    except NotImplementedError:
        return value
    if python_type is int:
        return _integer(value, _MAX_UNSIGNED if _is_unsigned(kind) else _MAX_NUMBER)
    return _CONVERTERS.get(python_type, _unchanged)(value)


def _is_decorator(kind: Kind) -> t.TypeGuard[sa.TypeDecorator[t.Any]]:
    """Return whether *kind* converts the values of another type."""
    return isinstance(kind, sa.TypeDecorator) and not isinstance(kind, sa.Interval)


def _overrides(kind: Kind, name: str) -> bool:
    return getattr(type(kind), name) is not getattr(sa.TypeDecorator, name)


def _is_unsigned(kind: Kind) -> bool:
    """Return whether *kind* has integers without a sign on any database."""
    return any(
        getattr(kind.dialect_impl(dialect), "unsigned", False)
        for dialect in _WITH_UNSIGNED
    )


def _unchanged(value: t.Any) -> t.Any:
    return value


def _integer(value: t.Any, maximum: int) -> int:
    number = int(value)
    if not -maximum - 1 <= number <= maximum or isinstance(value, float):
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
