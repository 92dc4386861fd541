"""The limit of RabbitMQ: frames that are encoded before, written to a bare socket.

A window of any width is open: everything is written at once, and confirms are counted
as they come.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import typing as t
from urllib.parse import unquote
from urllib.parse import urlsplit

import pika.frame
import pika.spec as amqp

from benchmarks.clock import timed

if t.TYPE_CHECKING:
    from benchmarks.job import Job
    from benchmarks.subjects.program import Work

GREETING = b"AMQP\x00\x00\x09\x01"
CHANNEL = 1

#: How many messages warm up; how much is written and read at a time, in bytes.
WARM_UP = 1000
WRITE = 256 * 1024
READ = 64 * 1024

_FRAME = struct.Struct(">BHI")
_ACK = struct.Struct(">HHQB")
_ACK_METHOD = (amqp.Basic.Ack.INDEX >> 16, amqp.Basic.Ack.INDEX & 0xFFFF)


@contextlib.contextmanager
def publish(job: Job) -> t.Iterator[Work]:
    """Publish persistent messages of equal bodies to the job's queue."""
    with connect(job.broker_url or "") as (connection, _):
        _call(connection, amqp.Channel.Open(), CHANNEL)
        _call(connection, amqp.Confirm.Select(), CHANNEL)
        message = encode(job.queue, b"x" * job.payload)
        confirms = Confirms()
        _publish(connection, confirms, message, WARM_UP)
        yield lambda: timed(
            lambda: _publish(connection, confirms, message, job.size), job.size
        )


@contextlib.contextmanager
def connect(url: str) -> t.Iterator[tuple[socket.socket, dict[str, t.Any]]]:
    """Connect and log in; give the socket, and what the server tells of itself."""
    parts = urlsplit(url)
    address = (parts.hostname or "localhost", parts.port or 5672)
    with socket.create_connection(address) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(GREETING)
        start = _receive(connection)
        tune = _call(connection, _login(parts.username, parts.password))
        limits = {"channel_max": tune.channel_max, "frame_max": tune.frame_max}
        _send(connection, amqp.Connection.TuneOk(**limits, heartbeat=0))
        _call(connection, amqp.Connection.Open(unquote(parts.path[1:]) or "/"))
        yield connection, start.server_properties


def _login(user: str | None, password: str | None) -> t.Any:
    secret = f"\0{unquote(user or 'guest')}\0{unquote(password or 'guest')}"
    return amqp.Connection.StartOk(
        client_properties={"capabilities": {"publisher_confirms": True}},
        response=secret,
    )


def _call(connection: socket.socket, method: t.Any, channel: int = 0) -> t.Any:
    _send(connection, method, channel)
    return _receive(connection)


def _send(connection: socket.socket, method: t.Any, channel: int = 0) -> None:
    connection.sendall(pika.frame.Method(channel, method).marshal())


def _receive(connection: socket.socket) -> t.Any:
    """Return the next method; none comes in several parts here."""
    data = b""
    while True:
        data += connection.recv(READ)
        _, frame = pika.frame.decode_frame(data)
        if frame is not None:
            return frame.method


def encode(queue: str, body: bytes) -> bytes:
    """Return the frames of a persistent message to a queue."""
    properties = amqp.BasicProperties(delivery_mode=2)
    frames = [
        pika.frame.Method(CHANNEL, amqp.Basic.Publish(exchange="", routing_key=queue)),
        pika.frame.Header(CHANNEL, len(body), properties),
        pika.frame.Body(CHANNEL, body),
    ]
    return b"".join(frame.marshal() for frame in frames)


class Confirms:
    """Count the messages that the broker has confirmed."""

    def __init__(self) -> None:
        #: All messages up to this number are confirmed.
        self.complete = 0
        #: How many were published in all, by whoever uses this.
        self.published = 0
        self._beyond: set[int] = set()
        self._data = b""

    def feed(self, data: bytes) -> None:
        """Take what came over the socket."""
        data = self._data + data
        position = 0
        while len(data) - position >= _FRAME.size:
            _, _, size = _FRAME.unpack_from(data, position)
            end = position + _FRAME.size + size + 1
            if end > len(data):
                break
            self._take(data[position + _FRAME.size : end - 1])
            position = end
        self._data = data[position:]

    def _take(self, payload: bytes) -> None:
        class_id, method_id, tag, multiple = _ACK.unpack_from(payload)
        if (class_id, method_id) != _ACK_METHOD:
            raise RuntimeError("RabbitMQ answered something else than a confirm")
        if multiple & 1:
            self.complete = max(self.complete, tag)
        else:
            self._beyond.add(tag)
        while self.complete + 1 in self._beyond:
            self.complete += 1
        if multiple & 1:
            self._beyond = {each for each in self._beyond if each > self.complete}


def _publish(
    connection: socket.socket, confirms: Confirms, message: bytes, count: int
) -> None:
    """Publish *message* so many times, and wait until all are confirmed."""
    confirms.published += count
    chunk = max(1, WRITE // len(message))
    unsent = memoryview(b"")
    while confirms.complete < confirms.published:
        if not unsent and count:
            unsent = memoryview(message * min(count, chunk))
            count -= min(count, chunk)
        writable = [connection] if unsent else []
        readable, writable, _ = select.select([connection], writable, [])
        if readable:
            confirms.feed(connection.recv(READ))
        if writable:
            unsent = unsent[connection.send(unsent, socket.MSG_DONTWAIT) :]
