"""What all database servers have in common."""

from __future__ import annotations

import abc
import random
import typing as t

import sqlalchemy as sa
from signalbus.testing.proxy import TcpProxy

from chaos.servers.ports import free_port

if t.TYPE_CHECKING:
    from pathlib import Path

    from chaos.servers.process import ServerProcess


class DatabaseServer(abc.ABC):
    """A database server of our own, with a proxy before it.

    Its methods may be called in any order, and repeatedly. Those that change its state
    return when the state is reached. The proxy accepts connections from the first
    :meth:`start` to :meth:`close`, also while the server is down: it then ends them.

    :param home: its folder. With the same folder, it has the same data again.
    """

    #: How it is called.
    name: t.ClassVar[str]

    #: The beginning of its URLs, with the user.
    _scheme: t.ClassVar[str]

    #: A database that is always there.
    _own_database: t.ClassVar[str]

    #: Selects the ids of the connections to the database ``:name`` but for our own.
    _connections: t.ClassVar[str]

    #: Creates the database of a quoted name.
    _create: t.ClassVar[str] = "CREATE DATABASE {}"

    #: What the driver needs so as not to wait long for a server that is frozen.
    _timeouts: t.ClassVar[dict[str, int]] = {"connect_timeout": 2}

    def __init__(self, home: Path) -> None:
        self._home = home
        self._port = free_port()
        self._process: ServerProcess | None = None
        #: Stands before the server.
        self.proxy = TcpProxy("127.0.0.1", self._port)

    def start(self) -> None:
        """Start, and return when it takes connections. Make the data first, if new.

        :raises Unavailable: its programs are not installed.
        :raises RuntimeError: it does not start. The message says what it has logged.
        """
        if self._process is None:
            self._home.mkdir(parents=True, exist_ok=True)
            self._process = self._prepare()
        self._process.start(self._is_ready)
        self.proxy.start()

    def stop(self) -> None:
        """Shut it down in order, as an operator does; connections end."""
        if self._process is not None:
            self._process.stop(self._ask_to_stop)

    def kill(self) -> None:
        """Kill all its processes, so that the next start must recover."""
        if self._process is not None:
            self._process.kill()

    def freeze(self) -> None:
        """Stop all its processes: it keeps everything, and answers nothing."""
        if self._process is not None:
            self._process.freeze()

    def thaw(self) -> None:
        """Let its processes go on."""
        if self._process is not None:
            self._process.thaw()

    def close(self) -> None:
        """Kill it and end the proxy, in whatever state they are."""
        self.proxy.thaw()
        self.proxy.stop()
        self.kill()

    def url(self, database: str, *, direct: bool = False) -> str:
        """Return the URL of a database for SQLAlchemy.

        :param direct: go past the proxy.
        """
        port = self._port if direct else self.proxy.port
        return f"{self._scheme}@127.0.0.1:{port}/{database}"

    def create_database(self, name: str) -> None:
        """Create an empty database."""
        with self._connect() as connection:
            quoted = connection.dialect.identifier_preparer.quote(name)
            connection.exec_driver_sql(self._create.format(quoted))

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected to it: many make restarts slow."""
        self.cut_connections(name)
        with self._connect() as connection:
            quoted = connection.dialect.identifier_preparer.quote(name)
            connection.exec_driver_sql(f"DROP DATABASE {quoted}")

    def cut_connections(
        self, database: str, count: int | None = None, rng: random.Random | None = None
    ) -> int:
        """End connections of clients to *database*, in the midst of what they do.

        :param count: how many, at most. All if it is ``None``.
        :param rng: what chooses them.
        :return: how many it has ended; none if the server is down, or frozen.
        """
        if self._process is None or not self._process.is_answering:
            return 0
        try:
            with self._connect() as connection:
                query = sa.text(self._connections)
                ids = list(connection.scalars(query, {"name": database}))
                if count is not None and count < len(ids):
                    ids = (rng or random.Random()).sample(ids, count)  # noqa: S311
                return sum(self._cut(connection, each) for each in ids)
        except sa.exc.DBAPIError:
            return 0

    @abc.abstractmethod
    def _prepare(self) -> ServerProcess:
        """Make the data if there is none; return the process, which is not started."""

    @abc.abstractmethod
    def _ask_to_stop(self) -> None:
        """Tell the server to shut down."""

    @abc.abstractmethod
    def _cut(self, connection: sa.Connection, each: int) -> bool:
        """End the connection with the id *each*; return whether there was one."""

    def _is_ready(self) -> bool:
        try:
            self._connect().close()
        except sa.exc.DBAPIError:
            return False
        return True

    def _connect(self) -> sa.Connection:
        engine = sa.create_engine(
            self.url(self._own_database, direct=True),
            poolclass=sa.NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args=self._timeouts,
        )
        return engine.connect()
