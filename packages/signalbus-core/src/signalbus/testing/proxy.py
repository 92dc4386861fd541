"""A TCP proxy that simulates faults of networks and servers."""

from __future__ import annotations

import contextlib
import math
import socket
import threading
import typing as t

__all__ = ["TcpProxy"]

#: How many bytes are read at once.
CHUNK = 64 * 1024

#: How many seconds of data a piece contains when the data trickles; at least one byte.
PERIOD = 0.05


class TcpProxy:
    """A proxy between a client and a server that can refuse, freeze, slow and drop.

    It listens on a free port of this host, which never changes, once :meth:`start` is
    called. Its methods may be called in any order, and repeatedly.

    :param host: where the server listens.
    :param port: the server's port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener: socket.socket | None = None
        self._links: list[_Link] = []
        self._valve = _Valve()
        self._lock = threading.Lock()
        with socket.create_server(("127.0.0.1", 0)) as free:
            #: The port on which it listens.
            self.port: int = free.getsockname()[1]
        #: The host on which it listens.
        self.host = "127.0.0.1"

    def start(self) -> None:
        """Accept connections."""
        with self._lock:
            if self._listener is None:
                self._listener = socket.create_server((self.host, self.port))
                accept = threading.Thread(
                    target=self._accept, args=[self._listener], daemon=True
                )
                accept.start()

    def stop(self) -> None:
        """Refuse connections, and close those that are open."""
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None:
            # Without this, the thread that accepts keeps the socket open.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.drop()

    def freeze(self) -> None:
        """Stop forwarding data in both directions, but still accept connections."""
        self._valve.turn(0)

    def trickle(self, bytes_per_second: float) -> None:
        """Limit the speed of each connection, in each direction.

        Simulates a line that is slow, not down. It applies to open and new connections
        until :meth:`thaw` or :meth:`freeze` is called. The proxy and the system buffer
        what a client sends, so a client that sends little does not notice until it
        waits for the answer.

        :raises ValueError: if the number is not positive. Call :meth:`freeze` instead.
        """
        if bytes_per_second <= 0:
            raise ValueError(
                f"Cannot trickle {bytes_per_second} bytes per second."
                " Pass a positive number, or call freeze()."
            )
        self._valve.turn(bytes_per_second)

    def thaw(self) -> None:
        """Forward data again, beginning with what was held back."""
        self._valve.turn(math.inf)

    def drop(self) -> None:
        """Close all open connections."""
        with self._lock:
            links, self._links = self._links, []
        for link in links:
            link.close()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        with self._lock:
            self._links = [link for link in self._links if link.is_open]
            return len(self._links)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # it was closed
                return
            try:
                server = socket.create_connection(self._target, timeout=10)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            link = _Link(client, server, self._valve)
            with self._lock:
                is_wanted = self._listener is listener
                if is_wanted:
                    self._links.append(link)
            if is_wanted:
                link.start()
            else:
                link.close()


class _Valve:
    """Lets everything through, or a number of bytes per second, or nothing."""

    def __init__(self) -> None:
        self._rate = math.inf
        self._turned = threading.Condition()

    def turn(self, rate: float) -> None:
        """Let *rate* bytes per second through; ``math.inf`` means no limit."""
        with self._turned:
            self._rate = rate
            self._turned.notify_all()

    def pieces(self, data: bytes) -> t.Iterator[bytes]:
        """Yield *data* piece by piece, each when it may go through."""
        while data:
            rate = self._wait_until_open()
            size = len(data) if rate == math.inf else max(1, int(rate * PERIOD))
            yield data[:size]
            self._wait_until_turned(rate, len(data[:size]) / rate)
            data = data[size:]

    def _wait_until_open(self) -> float:
        with self._turned:
            self._turned.wait_for(lambda: self._rate)
            return self._rate

    def _wait_until_turned(self, rate: float, seconds: float) -> None:
        if seconds:
            with self._turned:
                self._turned.wait_for(lambda: rate != self._rate, seconds)


class _Link:
    """The connection of a client, and the matching connection to the server."""

    def __init__(
        self, client: socket.socket, server: socket.socket, valve: _Valve
    ) -> None:
        self.is_open = True
        self._ends = (client, server)
        self._valve = valve

    def start(self) -> None:
        client, server = self._ends
        for source, target in ((client, server), (server, client)):
            pump = threading.Thread(
                target=self._pump, args=[source, target], daemon=True
            )
            pump.start()

    def close(self) -> None:
        self.is_open = False
        for end in self._ends:
            # A shutdown wakes the threads that read; a close alone does not.
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                for piece in self._valve.pieces(data):
                    target.sendall(piece)
        self.close()


def free_port() -> int:
    """Return a port of this host on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: t.Any = free.getsockname()[1]
    return int(port)
