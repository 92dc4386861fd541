"""The servers of brokers, as the conformance suite starts, stops and reads them."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import time
import typing as t

from signalbus.testing.proxy import TcpProxy
from signalbus.testing.proxy import free_port

__all__ = ["BrokerServer", "ProcessServer", "ProxiedServer", "ReceivedMessage"]

#: How long a server may take to start, in seconds.
START_TIMEOUT = 60.0

#: The attributes of a model that say where its signals are sent, by name.
Attributes: t.TypeAlias = dict[str, t.Any]


@dataclasses.dataclass(frozen=True)
class ReceivedMessage:
    """A message as a consumer receives it.

    :param body: its body.
    :param id: its message id.
    :param headers: its headers, which may include those that the broker itself adds.
    :param type: the name of the model; ``None`` if the broker's messages have no type.
    :param content_type: its content type; ``None`` if the broker's messages have none.
    """

    body: bytes
    id: str
    headers: t.Mapping[str, str]
    type: str | None = None
    content_type: str | None = None


class BrokerServer(abc.ABC):
    """A server for the conformance suite, which stops, freezes and reads it.

    Do not use a server that others need. The methods that change its state may be
    called repeatedly, and return only when the new state is reached.
    """

    @abc.abstractmethod
    def settings(self) -> dict[str, t.Any]:
        """Return the settings of an app that uses the server. They must fit in JSON."""

    @abc.abstractmethod
    def attributes(self) -> Attributes:
        """Make a new, empty destination; return what a model declares to send to it.

        Such as ``{"signalbus_topic": "orders-1"}``. The values must fit in JSON, so
        they cannot be functions.
        """

    def refused_attributes(self) -> Attributes | None:
        """Return attributes of a model whose messages the server refuses.

        Such as a topic that does not exist. The server must refuse messages, not
        connections. Return ``None`` if it never does; the tests that need refused
        messages are then skipped.
        """
        return None

    @abc.abstractmethod
    def read(self, attributes: Attributes) -> list[ReceivedMessage]:
        """Return all messages that are stored at the destination of *attributes*.

        Read them with a client of your own, not with the plugin. Called only while the
        server works.
        """

    @abc.abstractmethod
    def start(self) -> None:
        """Start the server, and return when it accepts connections."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Close all connections, and refuse new ones from now on."""

    @abc.abstractmethod
    def freeze(self) -> None:
        """Stop answering, on open and new connections."""

    @abc.abstractmethod
    def thaw(self) -> None:
        """Answer again, including what was asked meanwhile."""

    @abc.abstractmethod
    def drop_connections(self) -> None:
        """Close the connections of clients, and keep running."""


class ProxiedServer(BrokerServer):
    """A server behind a :class:`~signalbus.testing.proxy.TcpProxy` of its own.

    The proxy refuses, freezes and drops connections in place of the server, so others
    may use the server, too. :meth:`settings` must name the host and the port of
    :attr:`proxy`.

    :param host: where the server listens.
    :param port: the server's port.
    """

    def __init__(self, host: str, port: int) -> None:
        self.proxy = TcpProxy(host, port)

    def start(self) -> None:
        """Accept connections."""
        self.proxy.start()

    def stop(self) -> None:
        """Refuse connections."""
        self.proxy.stop()

    def freeze(self) -> None:
        """Stop forwarding data."""
        self.proxy.freeze()

    def thaw(self) -> None:
        """Forward data again."""
        self.proxy.thaw()

    def drop_connections(self) -> None:
        """Close the connections."""
        self.proxy.drop()


class ProcessServer(ProxiedServer):
    """A server in a process of its own, behind a proxy of its own.

    The process is really killed and stopped; the proxy only drops connections.

    :ivar server_port: the port on which the process listens.
    :ivar port: the port of the proxy, for the settings of apps.
    """

    def __init__(self) -> None:
        self.server_port = free_port()
        super().__init__("127.0.0.1", self.server_port)
        self.port = self.proxy.port
        self._process: subprocess.Popen[bytes] | None = None

    @abc.abstractmethod
    def command(self) -> list[str]:
        """Return the command that runs the server in the foreground, on its port."""

    def start(self) -> None:
        """Start the process, and wait until it listens."""
        self.thaw()
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603 the author's own command
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The server did not start: {self.command()}")
            time.sleep(0.02)
        super().start()

    def stop(self) -> None:
        """Kill the process."""
        super().stop()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Stop the process with SIGSTOP; the system still accepts connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)
            if hasattr(os, "waitid"):  # or else it may still answer for a moment
                os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        """Continue the process."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def is_ready(self) -> bool:
        """Return whether the server accepts connections.

        Called repeatedly while the process starts. Override it if the server accepts
        connections before it is ready.
        """
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.server_port), timeout=1).close()
            return True
        return False
