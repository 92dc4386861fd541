"""The connections of one process to one server."""

from __future__ import annotations

import contextlib
import time
import typing as t
from collections import deque

import redis

from signalbus_redis import _persistence

if t.TYPE_CHECKING:
    from signalbus.brokers import WaitLimit

    from signalbus_redis._url import ServerUrl

#: How many idle connections are kept.
MAX_IDLE: t.Final = 10

#: How long an idle connection is kept, in seconds. A firewall may silently drop an old
#: one, and the next burst would wait in vain.
MAX_IDLE_TIME: t.Final = 60.0


class Pool:
    """The connections of one process; each serves one burst at a time.

    It may be used from several threads.

    :param url: where the server is, for the log.
    :param make: makes a connection that is not open yet.
    """

    def __init__(self, url: ServerUrl, make: t.Callable[[], t.Any]) -> None:
        #: Where the server is, for errors and the log.
        self.url = url
        self._make = make
        self._idle: deque[tuple[float, t.Any]] = deque()
        self._is_closed = False
        self._is_known = False

    @contextlib.contextmanager
    def connection(
        self, limit: WaitLimit, *, fresh: bool = False, warns: bool = True
    ) -> t.Iterator[t.Any]:
        """Yield an open connection. After an error, it is closed.

        Unless there is an error, the caller must read all replies.

        :param fresh: whether to open a new connection, and to close the idle ones.
        :param warns: whether to log a warning, once, if the server keeps nothing on
            disk.
        :raises redis.RedisError: if none can be opened within *limit*.
        """
        if fresh:
            self.close_idle()
        connection = self._find_idle(limit) or self._open(limit)
        try:
            if warns:
                self._get_to_know(connection)
            yield connection
        except BaseException:
            connection.disconnect()  # there may be replies that nobody has read
            raise
        self._keep(connection)

    def close(self) -> None:
        """Close the idle connections, and those in use once they are returned."""
        self._is_closed = True
        self.close_idle()

    def close_idle(self) -> None:
        """Close the idle connections."""
        while (idle := self._pop()) is not None:
            idle[1].disconnect()

    def _find_idle(self, limit: WaitLimit) -> t.Any:
        """Return an idle connection that still works, if there is one."""
        while (idle := self._pop()) is not None:
            since, connection = idle
            connection.limit = limit
            if time.monotonic() - since < MAX_IDLE_TIME and _is_quiet(connection):
                return connection
            connection.disconnect()
        return None

    def _open(self, limit: WaitLimit) -> t.Any:
        connection = self._make()
        connection.limit = limit
        try:
            connection.connect()
        except BaseException:
            connection.disconnect()
            raise
        return connection

    def _get_to_know(self, connection: t.Any) -> None:
        """Warn about the server, unless another thread does or has done so."""
        if self._is_known:
            return
        self._is_known = True
        try:
            _persistence.warn(connection, self.url)
        except BaseException:
            self._is_known = False
            raise

    def _keep(self, connection: t.Any) -> None:
        if self._is_closed or len(self._idle) >= MAX_IDLE:
            connection.disconnect()
        else:
            self._idle.append((time.monotonic(), connection))

    def _pop(self) -> tuple[float, t.Any] | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None


def _is_quiet(connection: t.Any) -> bool:
    """Return whether nothing has arrived over *connection*, such as its end."""
    try:
        return not connection.can_read(0)
    except redis.RedisError:
        return False
