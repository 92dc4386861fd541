"""The servers of a run: each is started when a scenario first needs it."""

from __future__ import annotations

import contextlib
import typing as t

from chaos.servers import MariaDB
from chaos.servers import PostgreSQL
from chaos.servers import RabbitMQ

if t.TYPE_CHECKING:
    from pathlib import Path

    from chaos.servers import DatabaseServer


class Venue:
    """A folder, and the servers whose data is in it.

    Close it, or the servers go on.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._databases: dict[str, DatabaseServer] = {}
        self._rabbitmq: RabbitMQ | None = None
        self._stack = contextlib.ExitStack()

    def database(self, name: str) -> DatabaseServer:
        """Return the database server of that name.

        :raises Unavailable: if its programs are not installed.
        """
        if name not in self._databases:
            classes = {"postgresql": PostgreSQL, "mariadb": MariaDB}
            server: DatabaseServer = classes[name](self.home / name)
            self._stack.callback(server.close)
            server.start()
            self._databases[name] = server
        return self._databases[name]

    def rabbitmq(self) -> RabbitMQ:
        """Return the RabbitMQ node.

        :raises Unavailable: if its programs are not installed.
        """
        if self._rabbitmq is None:
            server = RabbitMQ(self.home / "rabbitmq")
            self._stack.callback(server.close)
            server.start()
            self._rabbitmq = server
        return self._rabbitmq

    def heal(self) -> None:
        """Let all servers work again, whatever a scenario has left of them."""
        servers = [*self._databases.values(), self._rabbitmq]
        for server in [each for each in servers if each is not None]:
            server.proxy.thaw()
            server.thaw()
            server.start()
        if self._rabbitmq is not None:
            self._rabbitmq.clear_alarms()

    def close(self) -> None:
        """End all servers."""
        self._stack.close()
