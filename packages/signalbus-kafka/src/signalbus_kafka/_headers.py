"""The headers of a Kafka message."""

from __future__ import annotations

import typing as t

from signalbus.exceptions import MessageRefusedError

if t.TYPE_CHECKING:
    from signalbus.messages import Message

T = t.TypeVar("T")

Headers: t.TypeAlias = "dict[str, str | bytes | None]"

#: The headers that every message has.
MESSAGE_ID: t.Final = "message-id"
MESSAGE_TYPE: t.Final = "message-type"
CONTENT_TYPE: t.Final = "content-type"


def kafka_headers(message: Message) -> Headers:
    """Return the headers of *message*: its id, type and content type, and its own.

    Its own headers cannot replace the id.

    :raises MessageRefusedError: if a name contains a NUL.
    :raises TypeError: if Kafka does not support the type of a header.
    :raises ValueError: if a string cannot be encoded as UTF-8.
    """
    headers: Headers = {
        MESSAGE_ID: message.id,
        MESSAGE_TYPE: encodable(message.type),
        CONTENT_TYPE: encodable(message.content_type),
    }
    if message.headers:
        for name, value in message.headers.items():
            known = _name(message, name)
            headers[known] = _value(message, known, value)
        headers[MESSAGE_ID] = message.id
    return headers


def _name(message: Message, name: object) -> str:
    """Return *name*. The client treats it as a C string, and would cut it at a NUL."""
    if not isinstance(name, str):
        raise TypeError(
            f"The header {name!r:.60} of a {message.type} has a name that is not a"
            " string. Correct it in signalbus_headers."
        )
    if "\0" in name:
        raise MessageRefusedError(
            f"The header {name!r:.60} of a {message.type} has a NUL in its name. Rename"
            " it in signalbus_headers."
        )
    return _encodable(message, name, name)


def _value(message: Message, name: str, value: object) -> str | bytes | None:
    """Return *value* in a form that Kafka accepts."""
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return _encodable(message, name, value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{int(value)}"  # also for the member of an enum
    if isinstance(value, float):
        return str(float(value))
    raise TypeError(
        f"The header {name!r:.60} of a {message.type} is a {type(value).__name__}, and"
        " Kafka's headers are strings, bytes, numbers or None. Convert it in"
        " signalbus_headers."
    )


def _encodable(message: Message, name: str, text: str) -> str:
    try:
        return encodable(text)
    except UnicodeEncodeError as error:
        raise ValueError(
            f"The header {name!r:.60} of a {message.type} is not UTF-8: it has a lone"
            " surrogate. Correct it in signalbus_headers, or encode it to bytes there."
        ) from error


def encodable(value: T) -> T:
    """Return *value* after checking that it can be encoded as UTF-8 if it is a string.

    confluent-kafka does not check it, and a lone surrogate would end the process.

    :raises UnicodeEncodeError: if it cannot be encoded.
    """
    if isinstance(value, str):
        value.encode()
    return value
