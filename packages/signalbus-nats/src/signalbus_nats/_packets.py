"""Packets: what is published for a message."""

from __future__ import annotations

import re
import typing as t

from signalbus.exceptions import MessageRefusedError

from signalbus_nats._subject import complaint

if t.TYPE_CHECKING:
    from signalbus.messages import Message

#: The headers that each message has besides its own.
MESSAGE_ID = "Nats-Msg-Id"
MESSAGE_TYPE = "Message-Type"
CONTENT_TYPE = "Content-Type"

#: The valid names of headers: NATS allows what HTTP allows.
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

#: The size of the first line of the headers, and of the empty line after the last.
_FRAME = len(b"NATS/1.0\r\n\r\n")

#: The size of what each header has besides its name and its value.
_SEPARATORS = len(b": \r\n")


class Packet(t.NamedTuple):
    """Something to publish.

    :param position: the position of the message in its burst.
    """

    position: int
    subject: str
    body: bytes
    headers: dict[str, str] | None = None


def make_packet(message: Message, max_payload: int) -> Packet:
    """Return the packet for *message*.

    :param max_payload: how many bytes the server accepts, headers included.
    :raises MessageRefusedError: if NATS cannot transport the message.
    """
    subject = message.attributes["signalbus_subject"]
    if problem := complaint(subject):
        raise MessageRefusedError(f"signalbus_subject of {message.type}: {problem}")
    content_type = _as_text(CONTENT_TYPE, message.content_type)
    message_type = _as_text(MESSAGE_TYPE, message.type)
    headers = {CONTENT_TYPE: content_type, MESSAGE_TYPE: message_type}
    for name, value in message.headers.items():
        headers[_checked_name(name)] = _as_text(name, value)
    headers[MESSAGE_ID] = _as_text(MESSAGE_ID, message.id)
    _check_size(headers, message.body, max_payload)
    return Packet(message.position, subject, message.body, headers)


def _checked_name(name: object) -> str:
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    raise MessageRefusedError(
        f"{name!r:.80} cannot be the name of a header in NATS. Use ASCII letters,"
        " digits and hyphens."
    )


def _as_text(name: str, value: object) -> str:
    """Return *value*, of the header *name*, as the text that NATS needs."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{int(value)}"  # also for the member of an enum
    if isinstance(value, float):
        return str(float(value))
    if not isinstance(value, str):
        raise MessageRefusedError(
            f"The header {name!r} is {value!r:.80}, and headers of NATS are text. Make"
            " it a string."
        )
    if "\n" in value or "\r" in value:
        raise MessageRefusedError(
            f"The header {name!r} has a line break, which NATS does not allow. Encode"
            " or remove it."
        )
    if not value.isascii():
        _check_encodable(name, value)
    return value


def _check_encodable(name: str, value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise MessageRefusedError(
            f"The header {name!r} has a lone surrogate, which UTF-8 cannot have. Encode"
            " or remove it."
        ) from error


def _check_size(headers: dict[str, str], body: bytes, max_payload: int) -> None:
    """Refuse a message that is too large: the server would close the connection."""
    characters = sum(map(len, headers)) + sum(map(len, headers.values()))
    around = len(body) + _FRAME + _SEPARATORS * len(headers)
    if around + 4 * characters <= max_payload:  # UTF-8 has four bytes at most
        return
    size = around + sum(len(each.encode()) for pair in headers.items() for each in pair)
    if size > max_payload:
        raise MessageRefusedError(
            f"The message has {size:,} bytes with its headers, and the server takes"
            f" {max_payload:,}. Make it smaller, or raise max_payload of the server."
        )
