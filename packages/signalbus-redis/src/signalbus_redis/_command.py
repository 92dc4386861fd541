"""Encode commands in the protocol of Redis.

redis-py can do that, too, for words of all types. For words that are bytes already,
this is several times as fast, and encoding took half of the time of a message.
"""

from __future__ import annotations

import typing as t


def encode(words: t.Sequence[bytes]) -> bytes:
    """Return a command that consists of *words*."""
    encoded = [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"*%d\r\n%b" % (len(words), b"".join(encoded))


def encode_in_parts(words: t.Sequence[bytes]) -> t.Iterator[bytes]:
    """Yield the same command in parts, without copying large words."""
    yield b"*%d\r\n" % len(words)
    for word in words:
        yield b"$%d\r\n" % len(word)
        yield word
        yield b"\r\n"
