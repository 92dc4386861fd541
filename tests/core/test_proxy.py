"""What a :class:`TcpProxy` lets through: everything, nothing, or little by little."""

from __future__ import annotations

import socket
import typing as t

import pytest
from signalbus.testing.proxy import TcpProxy

#: Bytes per second: a second byte would come after the test.
VERY_SLOW = 0.001


class Line:
    """A server with a proxy before it."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.proxy = TcpProxy(*self._listener.getsockname())
        self.proxy.start()
        self._ends: list[socket.socket] = []

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """Connect to the server; return the end of the client and the server's."""
        client = socket.create_connection(("127.0.0.1", self.proxy.port))
        server, _ = self._listener.accept()
        for end in (client, server):
            end.settimeout(30)
            self._ends.append(end)
        return client, server

    def close(self) -> None:
        """End everything."""
        self.proxy.thaw()
        self.proxy.stop()
        for end in (self._listener, *self._ends):
            end.close()


@pytest.fixture
def line() -> t.Iterator[Line]:
    """Give a line to a server."""
    line = Line()
    yield line
    line.close()


def test_little_by_little_trickles_in_both_directions(line: Line) -> None:
    """A line that trickles lets through so many bytes a second, each way."""
    client, server = line.connect()
    line.proxy.trickle(VERY_SLOW)

    client.sendall(b"ask")
    server.sendall(b"tell")

    assert b"a" == server.recv(10)
    assert b"t" == client.recv(10)


def test_all_bytes_arrive_in_their_order(line: Line) -> None:
    """What trickles arrives complete."""
    client, server = line.connect()
    line.proxy.trickle(200_000)
    sent = bytes(range(256)) * 200

    client.sendall(sent)

    assert sent == _receive(server, len(sent))


def test_thawing_ends_the_trickle(line: Line) -> None:
    """What was kept back comes at once."""
    client, server = line.connect()
    line.proxy.trickle(VERY_SLOW)
    client.sendall(b"ask")
    server.recv(1)

    line.proxy.thaw()

    assert b"sk" == _receive(server, 2)


def test_a_new_connection_trickles_too(line: Line) -> None:
    """The line is slow for all who use it, each by itself."""
    line.proxy.trickle(VERY_SLOW)
    for _ in range(2):
        client, server = line.connect()
        client.sendall(b"ask")

        assert b"a" == server.recv(10)


def test_what_was_frozen_trickles(line: Line) -> None:
    """A trickle after a freeze lets something through."""
    client, server = line.connect()
    line.proxy.freeze()
    client.sendall(b"ask")

    line.proxy.trickle(VERY_SLOW)

    assert b"a" == server.recv(10)


def test_a_connection_that_trickles_can_be_dropped(line: Line) -> None:
    """The end of a connection does not wait for what has been kept back."""
    client, server = line.connect()
    line.proxy.trickle(VERY_SLOW)
    client.sendall(b"ask")
    server.recv(1)

    line.proxy.drop()

    assert b"" == server.recv(10)


@pytest.mark.parametrize("rate", [0, -1])
def test_nothing_is_no_trickle(line: Line, rate: int) -> None:
    """Who wants nothing to get through freezes the line."""
    with pytest.raises(ValueError, match="freeze"):
        line.proxy.trickle(rate)


def _receive(end: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += end.recv(size - len(data))
    return data
