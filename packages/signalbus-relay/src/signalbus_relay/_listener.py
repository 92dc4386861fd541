"""Listen for announcements on PostgreSQL, so that a relay need not poll."""

from __future__ import annotations

import contextlib
import random
import secrets
import selectors
import threading
import time
import typing as t

import sqlalchemy as sa
import sqlalchemy.pool as sa_pool
from signalbus.logs import get_logger
from signalbus.stopping import Selector
from signalbus.stopping import StopToken

from signalbus_relay import _channel
from signalbus_relay import _connections
from signalbus_relay import _settings
from signalbus_relay._drivers import RECEIVE
from signalbus_relay._drivers import describe_first_line

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus.typing import Bus

logger = get_logger("signalbus.relay")

#: Called with a bind key and the full names of tables that have new signals; ``None``
#: if it may be any table of that database.
Wake: t.TypeAlias = t.Callable[["str | None", "frozenset[str] | None"], None]

#: What a listener may be doing.
LISTENING: t.Final = "listening"
CONNECTING: t.Final = "connecting"
DEAF: t.Final = "deaf"
UNSUPPORTED: t.Final = "unsupported"

#: How often a listener checks that notifications arrive, and how long it waits for one.
PING_INTERVAL: t.Final = 60.0
PING_TIMEOUT: t.Final = 5.0

#: How long to wait before connecting again, at first and at most, in seconds.
_FIRST_PAUSE: t.Final = 0.1
_MAX_PAUSE: t.Final = 5.0

#: How long the end waits for a thread that may be connecting, in seconds.
_LAST_WAIT: t.Final = 1.0


class Listeners:
    """A listener, in a thread of its own, for each of some databases on PostgreSQL.

    Databases that are not on PostgreSQL are skipped.

    :param wake: called in the thread of a listener: when something was announced, and
        for all tables whenever a listener has connected, since it may have missed
        something before.
    :param token: ends the listeners when it is stopped.
    """

    def __init__(
        self,
        app: Flask,
        bus: Bus,
        bind_keys: t.Collection[str | None],
        wake: Wake,
        token: StopToken,
    ) -> None:
        with app.app_context():
            engines = dict(bus.db.engines)
        self._own_token = StopToken()
        self._listeners = {
            bind_key: Listener(
                bind_key,
                engines[bind_key],
                _settings.read_listen_url(app.config, bind_key),
                wake,
                (token, self._own_token),
            )
            for bind_key in bind_keys
            if bind_key in engines and engines[bind_key].dialect.name == "postgresql"
        }

    def start(self) -> None:
        """Start the threads."""
        for listener in self._listeners.values():
            listener.start()

    def stop(self) -> None:
        """End the threads, and wait for them, but not for one that hangs."""
        self._own_token.stop()
        until = time.monotonic() + _LAST_WAIT
        for listener in self._listeners.values():
            listener.join(until - time.monotonic())

    def states(self) -> dict[str, str]:
        """Return what the listeners are doing, by the names of their databases.

        A state is ``listening``, ``connecting`` (or reconnecting), ``deaf`` (connected,
        but notifications do not arrive) or ``unsupported`` (the driver cannot listen).
        """
        return {
            _settings.bind_name(bind_key): listener.state
            for bind_key, listener in self._listeners.items()
        }

    def is_listening(self, bind_key: str | None) -> bool:
        """Return whether commits to a database wake the relay."""
        listener = self._listeners.get(bind_key)
        return listener is not None and listener.state == LISTENING


class Listener:
    """Listens to one database.

    :param url: where to listen, if not where *engine* connects to.
    :param tokens: end it when one of them is stopped.
    """

    def __init__(
        self,
        bind_key: str | None,
        engine: sa.Engine,
        url: sa.URL | None,
        wake: Wake,
        tokens: t.Sequence[StopToken],
    ) -> None:
        self._bind_key = bind_key
        self._engine = engine
        self._listened = engine if url is None else _engine_at(url, engine)
        self._receive = RECEIVE.get(self._listened.dialect.driver)
        self._wake = wake
        self._tokens = tokens
        self._pause = _FIRST_PAUSE
        self._trouble: str | None = None
        self._thread: threading.Thread | None = None
        #: What it is doing.
        self.state = UNSUPPORTED if self._receive is None else CONNECTING

    def start(self) -> None:
        """Start the thread, if the driver can listen."""
        if self._receive is None:
            self._report(
                UNSUPPORTED,
                f"The driver {self._listened.dialect.driver!r} cannot listen. Use"
                " psycopg or psycopg2, if only in SIGNALBUS_RELAY_LISTEN_URL.",
            )
            return
        name = f"signalbus-listener-{_settings.bind_name(self._bind_key)}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def join(self, seconds: float) -> None:
        """Wait up to *seconds* for the end of the thread."""
        if self._thread is not None:
            self._thread.join(max(seconds, 0.0))

    def _run(self) -> None:
        while not self._is_stopping():
            try:
                self._connect_and_listen()
            except Exception as error:  # noqa: BLE001 of whatever kind: try again
                self._report(CONNECTING, describe_first_line(error))
                pause = self._pause * random.uniform(0.8, 1.2)  # noqa: S311 no secret
                self._pause = min(self._pause * 2, _MAX_PAUSE)
            else:  # deaf, or told to stop
                pause = PING_INTERVAL
            self._wait(pause)

    def _connect_and_listen(self) -> None:
        """Listen over one connection, as long as notifications arrive."""
        connection = _connections.open_connection(self._listened)
        with contextlib.closing(connection):
            with contextlib.closing(connection.cursor()) as cursor:
                cursor.execute(f"LISTEN {_channel.CHANNEL}")
            self._wake(self._bind_key, None)
            if not self._hears(connection):
                self._report(DEAF, _DEAF)
                return
            self._recover()
            while not self._is_stopping():
                self._follow(connection, PING_INTERVAL)
                if not self._hears(connection):
                    raise TimeoutError("Notifications have ceased to arrive.")

    def _hears(self, connection: t.Any) -> bool:
        """Return whether announcements over another connection arrive here.

        Also ``True`` when told to stop.
        """
        ping = _channel.ping_of(secrets.token_hex(8))
        with contextlib.closing(_connections.open_connection(self._engine)) as other:
            _channel.notify(other, ping)
        return self._follow(connection, PING_TIMEOUT, ping) or self._is_stopping()

    def _follow(
        self, connection: t.Any, seconds: float, awaited: str | None = None
    ) -> bool:
        """Pass on what arrives, for some *seconds* or until something *awaited*.

        Returns whether that has arrived.
        """
        until = time.monotonic() + seconds
        while not self._is_stopping() and (left := until - time.monotonic()) > 0:
            if self._wait(left, connection):
                payloads = t.cast("t.Any", self._receive)(connection)
                self._pass_on(payloads)
                if awaited in payloads:
                    return True
        return False

    def _pass_on(self, payloads: t.Iterable[str]) -> None:
        """Wake the relay once for all payloads that have arrived."""
        heard = [
            _channel.tables_of(payload)
            for payload in payloads
            if not _channel.is_ping(payload)
        ]
        named = [tables for tables in heard if tables is not None]
        if heard:
            is_all = len(named) < len(heard)
            self._wake(self._bind_key, None if is_all else frozenset().union(*named))

    def _wait(self, seconds: float, connection: t.Any = None) -> bool:
        """Wait until told to stop, or until there is something to read.

        Returns whether there is something to read.
        """
        with Selector() as selector:
            for token in self._tokens:
                selector.register(token, selectors.EVENT_READ)
            if connection is not None:
                selector.register(connection, selectors.EVENT_READ)
            ready = selector.select(seconds)
        return any(key.fileobj is connection for key, _ in ready)

    def _is_stopping(self) -> bool:
        return any(token.is_stopping for token in self._tokens)

    def _recover(self) -> None:
        if self._trouble is not None:
            logger.warning("The relay is woken by the database %s again.", self._name)
        self.state = LISTENING
        self._trouble = None
        self._pause = _FIRST_PAUSE

    def _report(self, state: str, trouble: str) -> None:
        """Log why the relay is not woken, but not at every attempt."""
        if self._is_stopping():
            return
        if self._trouble is None or state != self.state:
            logger.warning(
                "The relay is not woken by the database %s, and polls it: %s",
                self._name,
                trouble,
            )
        self.state = state
        self._trouble = trouble

    @property
    def _name(self) -> str:
        return repr(_settings.bind_name(self._bind_key))


def _engine_at(url: sa.URL, engine: sa.Engine) -> sa.Engine:
    """Return an engine for *url*, with the driver of *engine* if *url* names none."""
    if "+" not in url.drivername:
        url = url.set(drivername=f"{url.drivername}+{engine.dialect.driver}")
    return sa.create_engine(url, poolclass=sa_pool.NullPool)


_DEAF: t.Final = (
    "Notifications do not arrive. If there is a pooler such as pgbouncer in between,"
    f" set {_settings.LISTEN_URL} to a URL that leads to PostgreSQL directly. If it is"
    " set, make sure that it leads to the same database."
)
