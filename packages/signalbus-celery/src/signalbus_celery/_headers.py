"""Refuse unsupported headers before they are sent.

py-amqp treats a value that it cannot encode as a lost connection, and RabbitMQ closes
the connection if a number is invalid. Then one signal would stop all others.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
import typing as t

from signalbus.exceptions import MessageRefusedError

if t.TYPE_CHECKING:
    from signalbus.messages import Message

#: The largest integers in AMQP.
_LARGEST: t.Final = 2**63 - 1

#: How deep headers may be nested.
_MAX_DEPTH: t.Final = 20

#: The types of values that need not be checked.
_PLAIN = (bytes, bool, type(None), dt.datetime)


def check_headers(message: Message) -> None:
    """Check the headers of *message*.

    :raises MessageRefusedError: if one is unsupported. The error names the header and
        its value.
    """
    for name, value in message.headers.items():
        if not _is_text(name):
            raise MessageRefusedError(
                f"The header {name!r:.60} of a {message.type} has a name that is not a"
                " string of UTF-8. Rename it in signalbus_headers."
            )
        if not _is_sendable(value, _MAX_DEPTH):
            raise MessageRefusedError(
                f"The header {name!r:.60} of a {message.type} is {value!r:.60}, which"
                " brokers do not support. Use strings, bytes, numbers of up to 64 bits,"
                " datetimes, or lists and dicts of these."
            )


def _is_sendable(value: object, depth: int) -> bool:
    if isinstance(value, dict):
        return all(map(_is_text, value)) and _are_sendable(value.values(), depth)
    if isinstance(value, (list, tuple)):
        return _are_sendable(value, depth)
    return _is_scalar(value)


def _are_sendable(values: t.Iterable[object], depth: int) -> bool:
    return depth > 0 and all(_is_sendable(each, depth - 1) for each in values)


def _is_scalar(value: object) -> bool:
    if isinstance(value, _PLAIN):
        return True
    if isinstance(value, int):
        return -_LARGEST <= value <= _LARGEST
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, decimal.Decimal) or _is_text(value)


def _is_text(value: object) -> bool:
    """Return whether *value* is a string that can be encoded as UTF-8."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
