"""Read of a content header what can be read whatever the properties are."""

from __future__ import annotations

import struct
import typing as t

import pika.frame
import pika.spec

#: The type of a frame, its channel, its size; then a class, a weight, a body's size.
_START: t.Final = struct.Struct(">BHIHHQ")


def content_header(buffer: bytes) -> tuple[int, t.Any] | None:
    """Return the length and the content header at the start of *buffer*.

    Its properties are empty. ``None`` if there is another frame.

    :param buffer: a whole frame, at least.
    """
    if len(buffer) < _START.size or buffer[0] != pika.spec.FRAME_HEADER:
        return None
    _, channel, size, _, _, body_size = _START.unpack_from(buffer)
    length = pika.spec.FRAME_HEADER_SIZE + size + pika.spec.FRAME_END_SIZE
    if buffer[length - 1 : length] != bytes([pika.spec.FRAME_END]):
        return None
    properties = pika.spec.BasicProperties()
    return length, pika.frame.Header(channel, body_size, properties)
