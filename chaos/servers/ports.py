"""Ports for servers that go away and come back."""

from __future__ import annotations

import random
import socket

#: Below those that systems give to the connections of clients. In that range, a client
#: that connects again and again to a server that is down may be given the server's own
#: port: it then talks to itself, and the server cannot come back.
PORTS = range(15000, 30000)


def free_port() -> int:
    """Return a port of this host on which nothing listens, and no client connects."""
    while True:
        port = random.SystemRandom().choice(PORTS)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
