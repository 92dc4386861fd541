"""Encode messages as AMQP frames, and what they have in common only once.

pika builds a method frame, a header frame and the body frames of every message from
objects. Most messages of a batch differ in their body and message id alone, so here
the rest is encoded once, by pika, and put around them.
"""

from __future__ import annotations

import operator
import struct
import typing as t

import pika
import pika.frame
import pika.spec

from signalbus_rabbitmq._property_errors import unencodable
from signalbus_rabbitmq.message import PERSISTENT
from signalbus_rabbitmq.message import Message
from signalbus_rabbitmq.message import MessageProperties

#: The longest exchange name, routing key or message id in AMQP, in bytes.
SHORT_STRING_MAX = 255

#: How many different properties an encoder remembers. Where there are more, they are
#: probably different for each message.
MAX_KNOWN_PROPERTIES = 100

# The properties go over the wire in this order, the message id in their midst.
_BEFORE = (
    "content_type",
    "content_encoding",
    "headers",
    "delivery_mode",
    "priority",
    "correlation_id",
    "reply_to",
    "expiration",
)
_AFTER = ("timestamp", "type", "user_id", "app_id", "cluster_id")

_hashable_values = operator.attrgetter(
    *(name for name in _BEFORE + _AFTER if name != "headers")
)

_HEADER = struct.Struct(">BHIHHQH")
_BODY = struct.Struct(">BHI")
_FLAGS = struct.Struct(">H")
_END = bytes([pika.spec.FRAME_END])
_HEADER_FIXED = 14
_FRAME_OVERHEAD = 8
_NO_HEADERS: dict[str, t.Any] = {}


class _EncodedProperties(t.NamedTuple):
    """The encoded properties of a message, but for its message id."""

    flags: int
    before: bytes
    after: bytes


class FrameEncoder:
    """Encodes the messages of one batch for one channel.

    The headers of a message must not change while the encoder is in use: they are
    recognised by their identity, because comparing takes as long as encoding.

    :param frame_max: the largest frame that the broker takes, in bytes.
    """

    def __init__(self, channel_number: int, frame_max: int) -> None:
        self._channel_number = channel_number
        self._frame_max = frame_max
        self._body_max = frame_max - _FRAME_OVERHEAD
        self._methods: dict[tuple[str, str, bool], bytes] = {}
        # With the headers, to keep them alive: nothing else gets their identity then.
        self._known_properties: dict[t.Hashable, tuple[_EncodedProperties, t.Any]] = {}

    def encode(self, message: Message) -> bytes:
        """Return all frames of *message*.

        Raise a :exc:`TypeError` for a message of wrong types, and a :exc:`ValueError`
        for one that AMQP cannot carry.
        """
        exchange, routing_key, body, properties, mandatory = message
        if type(body) is not bytes:
            raise TypeError(f"The body of a message is bytes, not {body!r:.60}.")
        method = self._methods.get((exchange, routing_key, mandatory))
        if method is None:
            method = self._encode_method(exchange, routing_key, mandatory)
        header = self._encode_header(len(body), properties)
        if not body:
            return method + header
        if len(body) > self._body_max:
            return b"".join((method, header, *self._split(body)))
        start = _BODY.pack(pika.spec.FRAME_BODY, self._channel_number, len(body))
        return b"".join((method, header, start, body, _END))

    def _encode_method(self, exchange: str, routing_key: str, mandatory: bool) -> bytes:
        _check_short_string("exchange", exchange)
        _check_short_string("routing key", routing_key)
        publish = pika.spec.Basic.Publish(
            exchange=exchange, routing_key=routing_key, mandatory=bool(mandatory)
        )
        method: bytes = pika.frame.Method(self._channel_number, publish).marshal()
        self._methods[exchange, routing_key, mandatory] = method
        return method

    def _encode_header(
        self, body_size: int, properties: MessageProperties | None
    ) -> bytes:
        if properties is None:
            properties = PERSISTENT
        flags, before, after = self._encode_properties(properties)
        message_id = b""
        if properties.message_id is not None:
            message_id = _encode_message_id(properties.message_id)
            flags |= MessageProperties.FLAG_MESSAGE_ID
        size = _HEADER_FIXED + len(before) + len(message_id) + len(after)
        if size > self._body_max:
            raise ValueError(
                f"The properties of a message must fit into {self._frame_max} bytes;"
                f" these take {size}. Move what is large to the body."
            )
        start = _HEADER.pack(
            pika.spec.FRAME_HEADER,
            self._channel_number,
            size,
            MessageProperties.INDEX,
            0,
            body_size,
            flags,
        )
        return b"".join((start, before, message_id, after, _END))

    def _encode_properties(self, properties: MessageProperties) -> _EncodedProperties:
        if not isinstance(properties, pika.BasicProperties):
            raise TypeError(
                "The properties of a message are MessageProperties, not"
                f" {properties!r:.60}."
            )
        headers = properties.headers
        if not headers and headers is not None:  # empty is not the same as none
            headers = _NO_HEADERS
        key = _hashable_values(properties), id(headers)
        try:
            known = self._known_properties.get(key)
        except TypeError as error:
            raise unencodable(properties, _BEFORE + _AFTER, error) from error
        return known[0] if known else self._remember(key, properties)

    def _remember(
        self, key: t.Hashable, properties: MessageProperties
    ) -> _EncodedProperties:
        if len(self._known_properties) >= MAX_KNOWN_PROPERTIES:
            self._known_properties.clear()
        encoded = _encode_without_id(properties)
        self._known_properties[key] = encoded, properties.headers
        return encoded

    def _split(self, body: bytes) -> t.Iterator[bytes | memoryview]:
        """Yield the parts of all frames of *body*."""
        view = memoryview(body)
        for start in range(0, len(body), self._body_max):
            piece = view[start : start + self._body_max]
            yield _BODY.pack(pika.spec.FRAME_BODY, self._channel_number, len(piece))
            yield piece
            yield _END


def _encode_without_id(properties: MessageProperties) -> _EncodedProperties:
    flags_before, before = _encode_some(properties, _BEFORE)
    flags_after, after = _encode_some(properties, _AFTER)
    return _EncodedProperties(flags_before | flags_after, before, after)


def _encode_some(
    properties: MessageProperties, names: t.Sequence[str]
) -> tuple[int, bytes]:
    some = MessageProperties()
    for name in names:
        setattr(some, name, getattr(properties, name))
    try:
        flags, *values = some.encode()
    except Exception as error:
        raise unencodable(properties, names, error) from error
    return _FLAGS.unpack(flags)[0], b"".join(values)


def _encode_message_id(message_id: t.Any) -> bytes:
    encoded = _check_short_string("message id", message_id)
    return bytes([len(encoded)]) + encoded


def _check_short_string(name: str, value: t.Any) -> bytes:
    if not isinstance(value, str):
        raise TypeError(f"The {name} of a message is a string, not {value!r:.60}.")
    encoded = value.encode()
    if len(encoded) > SHORT_STRING_MAX:
        raise ValueError(
            f"The {name} of a message has at most {SHORT_STRING_MAX} bytes; this one"
            f" has {len(encoded)}: {value!r:.60}."
        )
    return encoded
