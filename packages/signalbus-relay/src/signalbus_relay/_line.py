"""The connection over which a process announces what it has committed."""

from __future__ import annotations

import contextlib
import os
import threading
import typing as t
import weakref

import sqlalchemy as sa

from signalbus_relay import _channel
from signalbus_relay import _connections

#: How long disposing an engine waits for a notification that is being sent, in seconds.
_PATIENCE: t.Final = 1.0

#: Connections of the parent of a forked process. Releasing them would close them for
#: the parent, too.
_inherited: list[t.Any] = []


class Line:
    """A connection to the database of an *engine*, made when it is needed.

    It does not keep the engine alive. It is closed when the engine is disposed, and
    opened again for what is sent later.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = weakref.ref(engine)
        self._lock = threading.Lock()
        self._connection: t.Any = None
        self._process = os.getpid()
        _listen_to_disposal(engine, self._on_disposed)

    def send(self, payload: str) -> None:
        """Send a notification, over a new connection if the old one has died.

        Does nothing if the engine is gone.

        :raises Exception: what the driver or SQLAlchemy raises if that fails.
        """
        engine = self._engine()
        if engine is None:
            return
        with self._lock:
            if self._connection is not None:
                with contextlib.suppress(Exception):  # it may have died meanwhile
                    self._notify(payload)
                    return
            self._connection = _connections.open_connection(engine)
            self._notify(payload)

    def close(self) -> None:
        """Close the connection, unless something is being sent and does not end."""
        if self._process == os.getpid() and self._lock.acquire(timeout=_PATIENCE):
            try:
                self._drop()
            finally:
                self._lock.release()

    def forget(self) -> None:
        """Stop using a connection that two processes share after a fork."""
        if self._connection is not None:
            _inherited.append(self._connection)
        self._connection = None
        self._lock = threading.Lock()
        self._process = os.getpid()

    def _notify(self, payload: str) -> None:
        """Send *payload* over the connection, and close that if it fails."""
        try:
            _channel.notify(self._connection, payload)
        except BaseException:
            self._drop()
            raise

    def _drop(self) -> None:
        if self._connection is not None:
            _connections.close(self._connection)
        self._connection = None

    def _on_disposed(self, _: sa.Engine) -> None:
        self.close()


def _listen_to_disposal(
    engine: sa.Engine, listener: t.Callable[[sa.Engine], object]
) -> None:
    """Call *listener* when *engine* is disposed, without slowing its statements down.

    SQLAlchemy calls the events of an engine that has listeners for each statement. That
    slows commits down by a twentieth. But it calls this one event in any case.
    """
    has_events = getattr(engine, "_has_events", True)  # there is no public way
    sa.event.listen(engine, "engine_disposed", listener)
    if not has_events:
        engine._has_events = False  # noqa: SLF001 as above
