"""Connections of redis-py that stop waiting when a limit is reached.

redis-py has one timeout for each read and write. Here, that timeout is short, and after
each one the limit of the burst says whether to continue. So each burst has a limit of
its own, and a process that is told to stop does not wait for a silent server.
"""

from __future__ import annotations

import functools
import typing as t
from urllib.parse import parse_qsl
from urllib.parse import urlencode

import redis
from redis.connection import Connection
from redis.connection import SSLConnection
from redis.connection import UnixDomainSocketConnection
from redis.connection import parse_url
from signalbus.brokers import call_in_thread
from signalbus.exceptions import BrokerTimeoutError
from signalbus.exceptions import SettingError

from signalbus_redis._errors import ConnectingTimeoutError
from signalbus_redis._url import URL_SETTING

if t.TYPE_CHECKING:
    import socket

    from signalbus.brokers import WaitLimit

    from signalbus_redis._url import ServerUrl

#: How long a read or a write may take before the limit is checked, in seconds.
NAP: t.Final = 0.1

#: How many bytes are written at once.
SLICE: t.Final = 256 * 1024

#: The parameters that the URL cannot set, because the plugin sets them.
_OURS: t.Final = (
    "decode_responses",
    "encoding",
    "encoding_errors",
    "health_check_interval",
    "max_connections",
    "protocol",
    "retry_on_error",
    "retry_on_timeout",
    "socket_connect_timeout",
    "socket_keepalive",
    "socket_timeout",
    "timeout",
)

#: The errors of redis-py for parameters that it does not support.
_ERRORS: t.Final = (TypeError, ValueError, redis.RedisError)

#: Not everything in redis-py is typed.
_parse_url: t.Final[t.Any] = parse_url


class PatientConnection:
    """A mixin for connections of redis-py that stop waiting at :attr:`limit`."""

    #: How long to wait. The user of the connection sets it.
    limit: WaitLimit

    _sock: t.Any

    def _connect(self) -> socket.socket:
        """Open the socket in another thread, since a name server may be slow."""
        base: t.Any = super()
        connection: t.Any = self
        seconds = max(self.limit.remaining(), NAP)
        connection.socket_connect_timeout = connection.socket_timeout = seconds
        sock: socket.socket
        try:
            sock = call_in_thread(
                base._connect,  # noqa: SLF001 a connection implements it
                self.limit,
                discard=lambda late: late.close(),
            )
        except (BrokerTimeoutError, TimeoutError) as error:
            raise ConnectingTimeoutError from error
        connection.socket_timeout = NAP
        sock.settimeout(NAP)
        return sock

    def read_response(self, *args: t.Any, **options: t.Any) -> t.Any:
        """Return the next reply, or raise it if it is an error.

        A reply that was only read in part stays in the parser.

        :raises redis.TimeoutError: if the limit is reached.
        """
        base: t.Any = super()
        options["disconnect_on_error"] = False
        while True:
            try:
                reply = base.read_response(*args, **options)
            except redis.TimeoutError:
                if self.limit.is_over:
                    raise
            else:
                self.limit.note_progress()
                return reply

    def write(self, data: bytes | bytearray) -> None:
        """Write all of *data*.

        :raises redis.TimeoutError: if the limit is reached.
        :raises redis.ConnectionError: if the connection is lost.
        """
        with memoryview(data) as view:
            written = 0
            while written < len(view):
                written += self._write_some(view[written : written + SLICE])

    def _write_some(self, data: memoryview) -> int:
        try:
            written: int = self._sock.send(data)
        except TimeoutError as error:
            if self.limit.is_over:
                raise redis.TimeoutError("Timeout writing to socket") from error
            return 0
        except OSError as error:
            raise redis.ConnectionError(f"Error while writing: {error}") from error
        self.limit.note_progress()
        return written


class _Tcp(PatientConnection, Connection):
    """A connection over TCP."""


class _Tls(PatientConnection, SSLConnection):
    """A connection over TLS."""


class _Unix(PatientConnection, UnixDomainSocketConnection):
    """A connection over a Unix domain socket."""


_CLASSES: t.Final[dict[type[t.Any], type[t.Any]]] = {
    SSLConnection: _Tls,
    UnixDomainSocketConnection: _Unix,
}


def connection_maker(url: ServerUrl) -> t.Callable[[], t.Any]:
    """Return a function that makes connections to *url* that are not open yet.

    :raises SettingError: if the URL has parameters that redis-py does not support. The
        error does not show their values.
    """
    try:
        return _maker(url.value)
    except _ERRORS as error:
        names = list(_wrong_parameters(url.value)) or [type(error).__name__]
        needs_tls = not url.is_tls and any(name.startswith("ssl_") for name in names)
        remedy = " For TLS, it must begin with rediss://." if needs_tls else ""
        raise SettingError(
            f"{URL_SETTING} has parameters that redis-py does not support"
            f" ({', '.join(names)}). Correct the part after its question mark.{remedy}"
        ) from None


def _maker(url: str) -> t.Callable[[], t.Any]:
    options: dict[str, t.Any] = _parse_url(url)
    kind: t.Any = _CLASSES.get(options.pop("connection_class", Connection), _Tcp)
    options = {key: options[key] for key in options if key not in _OURS}
    # In the older protocol, nothing but replies comes over a connection.
    options["protocol"] = 2
    if kind is not _Unix:
        options["socket_keepalive"] = True
    kind(**options)
    return functools.partial(kind, **options)


def _wrong_parameters(url: str) -> t.Iterator[str]:
    """Yield the names of the parameters that redis-py does not support."""
    place, _, query = url.partition("?")
    if "@" in query:  # it may be a password with a question mark
        return
    for name, value in parse_qsl(query):
        try:
            _maker(f"{place}?{urlencode({name: value})}")
        except _ERRORS:
            yield name
