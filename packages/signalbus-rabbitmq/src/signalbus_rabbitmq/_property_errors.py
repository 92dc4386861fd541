"""Find out which of a message's properties AMQP cannot carry."""

from __future__ import annotations

import typing as t

import pika.data
import pika.exceptions

from signalbus_rabbitmq.message import MessageProperties

_TYPES = (
    "A header can be a str, bytes, a bool, an int of up to 64 bits, a Decimal of up to"
    " 32 bits, a datetime, None, or a list or dict of these; send others as strings"
)


def unencodable(
    properties: MessageProperties, names: t.Iterable[str], error: Exception
) -> ValueError:
    """Return the error to raise for *properties*, which could not be encoded.

    :param names: the properties that may be the cause.
    """
    return ValueError(
        f"The properties of a message cannot be sent: {_why(properties, names, error)}."
    )


def _why(
    properties: MessageProperties, names: t.Iterable[str], error: Exception
) -> str:
    for name in names:
        value = getattr(properties, name)
        if name == "headers" and isinstance(value, dict):
            if _failure(pika.data.encode_table, value):
                return f"{_wrong_header(value)}. {_TYPES}"
        elif failure := _failure(_encode_one, (name, value)):
            return f"{name} is {_shown(value)}{_reason(failure)}"
    return str(error) or type(error).__name__


def _wrong_header(headers: dict[t.Any, t.Any]) -> str:
    for name, value in headers.items():
        if failure := _failure(pika.data.encode_table, {name: None}):
            return f"the name of a header is {_shown(name)}{_reason(failure)}"
        if failure := _failure(pika.data.encode_value, value):
            inner, failure = _innermost(value, failure)
            verb = "is" if inner is value else "contains"
            return f"header {name!r} {verb} {_shown(inner)}{_reason(failure)}"
    return "the headers are too large"


def _innermost(value: t.Any, failure: Exception) -> tuple[t.Any, Exception]:
    """Return the part of *value* that cannot be encoded, and the error for it."""
    parts: t.Iterable[t.Any] = value if isinstance(value, list) else ()
    if isinstance(value, dict):
        parts = value.values()
    for part in parts:
        if inner := _failure(pika.data.encode_value, part):
            return _innermost(part, inner)
    return value, failure


def _reason(failure: Exception) -> str:
    if isinstance(failure, pika.exceptions.ShortStringTooLong):
        return ", which has more than 255 bytes"
    # The text of the first is what was encoded so far, that of the second is pika's.
    if isinstance(
        failure, (pika.exceptions.UnsupportedAMQPFieldException, AttributeError)
    ):
        return ""
    return f": {failure}"


def _encode_one(_: list[bytes], named: tuple[str, t.Any]) -> None:
    name, value = named
    one = MessageProperties()
    setattr(one, name, value)
    one.encode()


def _failure(
    encode: t.Callable[[list[bytes], t.Any], object], value: t.Any
) -> Exception | None:
    """Return what *encode* raises for *value*, if anything."""
    try:
        encode([], value)
    except Exception as error:  # noqa: BLE001 that is the answer
        return error
    return None


def _shown(value: t.Any) -> str:
    return f"{value!r:.60} ({type(value).__name__})"
