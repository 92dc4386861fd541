"""The key of a message, which determines its partition."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import operator
import typing as t

if t.TYPE_CHECKING:
    from signalbus.messages import Message
    from signalbus.messages import MessageBatch

ATTRIBUTE: t.Final = "signalbus_partition_key"

Key: t.TypeAlias = "str | bytes | None"

#: How NULL is written. No other value looks like it, since percent signs are escaped.
NULL: t.Final = "%N"


def key_reader(batch: MessageBatch) -> t.Callable[[Message], Key] | None:
    """Return a function that returns the key of a message of *batch*.

    The key is the one that the model declares, or else made of the values of its
    ordering key. Without either, the result is ``None``, and messages are spread over
    the partitions.
    """
    declaration = batch.declaration
    if getattr(declaration.model, ATTRIBUTE, None) is not None:
        return lambda message: message.attributes[ATTRIBUTE]
    names = declaration.ordering_key
    if not names:
        return None
    values = operator.attrgetter(*names)
    if len(names) == 1:
        return lambda message: key_text(values(message.signal))
    return lambda message: ",".join(map(key_text, values(message.signal)))


def key_text(value: t.Any) -> str:
    """Return *value*, of an ordering key, as text.

    Equal values have the same text, and different values have different texts, even if
    the texts of several values are joined by commas.
    """
    if isinstance(value, int) and not isinstance(value, enum.Enum):
        return str(value)
    if value is None:
        return NULL
    return _plain(value).replace("%", "%25").replace(",", "%2C")


def _plain(value: t.Any) -> str:
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.timezone.utc).isoformat()
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return _decimal(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    return str(value)


def _decimal(value: decimal.Decimal) -> str:
    """Return *value* without insignificant zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
