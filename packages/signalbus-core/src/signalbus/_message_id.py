"""Make the ids of messages, from tables and primary keys."""

from __future__ import annotations

import datetime as dt
import hashlib
import operator
import typing as t
import urllib.parse

if t.TYPE_CHECKING:
    import sqlalchemy.orm as sa_orm

#: How long an id may be, in bytes: as much as AMQP takes.
MAX_LENGTH = 255


def id_writer(mapper: sa_orm.Mapper[t.Any]) -> t.Callable[[t.Any], str]:
    """Return a function that makes the message id of a signal."""
    name = getattr(mapper.primary_key[0], "table").fullname  # noqa: B009 mypy
    table = urllib.parse.quote(name, safe=" /@+=")  # no colon: it ends the table
    keys = [mapper.get_property_by_column(column).key for column in mapper.primary_key]
    if len(keys) > 1:
        values = operator.attrgetter(*keys)
        return lambda signal: _short(f"{table}:{','.join(map(_text, values(signal)))}")
    value = operator.attrgetter(keys[0])
    return lambda signal: _short(f"{table}:{_text(value(signal))}")


def _text(value: t.Any) -> str:
    """Return a key's value as text; different values never look the same."""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    return urllib.parse.quote(str(value), safe=" /:@+=")


def _short(message_id: str) -> str:
    """Return *message_id*, or a digest of one that is too long."""
    if len(message_id) * 4 <= MAX_LENGTH:  # UTF-8 has at most four bytes a character
        return message_id
    encoded = message_id.encode()
    if len(encoded) <= MAX_LENGTH:
        return message_id
    return f"sha256:{hashlib.sha256(encoded).hexdigest()}"
