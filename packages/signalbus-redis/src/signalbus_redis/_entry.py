"""Make the entries of streams from messages, and keep track of what was sent."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from signalbus.messages import Message

#: The prefix for names of headers that would clash with our own fields.
HEADER_PREFIX: t.Final = "header."

#: Our own fields.
FIELDS: t.Final = frozenset({"id", "type", "content_type", "body"})


class Sent(t.NamedTuple):
    """A message that was written, at least in part, and has no reply yet."""

    position: int
    stream: str
    size: int


def add_command(message: Message) -> list[bytes]:
    """Return the words of the command that adds *message* to its stream.

    :raises TypeError: if a header is neither text nor a number.
    :raises ValueError: if a header cannot be encoded as UTF-8, or if the maximum length
        of the stream is not positive.
    """
    words = [b"XADD", _stream(message), *_trimming(message), b"*"]
    words += (
        b"id",
        message.id.encode(),
        b"type",
        message.type.encode(),
        b"content_type",
        message.content_type.encode(),
        b"body",
        message.body,
    )
    for name, value in message.headers.items():
        words += (_field(name), _value(name, value))
    return words


def _stream(message: Message) -> bytes:
    stream: str = message.attributes["signalbus_stream"]
    return stream.encode()


def _trimming(message: Message) -> tuple[bytes, ...]:
    maxlen: int | None = message.attributes["signalbus_stream_maxlen"]
    if maxlen is None:
        return ()
    if maxlen < 1:
        raise ValueError(
            f"signalbus_stream_maxlen of {message.type} returned {maxlen}. It must"
            " return a positive number of entries, or None."
        )
    return b"MAXLEN", b"~", b"%d" % maxlen


def _field(name: object) -> bytes:
    """Return the name of a header's field; different headers have different ones."""
    if not isinstance(name, str):
        raise TypeError(f"The header {name!r:.60} has a name that is not a string.")
    if name in FIELDS or name.startswith(HEADER_PREFIX):
        return _utf8(HEADER_PREFIX + name, name)
    return _utf8(name, name)


def _value(name: str, value: object) -> bytes:
    if isinstance(value, str):
        return _utf8(value, name)
    if isinstance(value, bytes):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return b"%d" % value  # also for the member of an enum
    if isinstance(value, float):
        return repr(float(value)).encode()
    raise TypeError(
        f"The header {name!r} is {value!r:.60}. Redis takes strings, bytes, integers"
        " and floats."
    )


def _utf8(text: str, name: str) -> bytes:
    """Return *text*, a part of the header *name*, as bytes."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"The header {name!r} has a lone surrogate, which UTF-8 cannot have. Remove"
            " it, or encode it to bytes yourself."
        ) from error
