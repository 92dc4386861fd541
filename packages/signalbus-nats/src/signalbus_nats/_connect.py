"""Connect to the first server that accepts, or report what is wrong with each."""

from __future__ import annotations

import asyncio
import errno
import secrets
import socket
import ssl
import typing as t

import nats.errors
from signalbus.exceptions import BrokerTimeoutError
from signalbus.exceptions import BrokerUnavailableError

from signalbus_nats._connection import CONNECT_TIMEOUT
from signalbus_nats._connection import Connection
from signalbus_nats._connection import ConnectionLostError
from signalbus_nats._connection import ForbiddenError
from signalbus_nats._connection import NoTLSError

if t.TYPE_CHECKING:
    from signalbus_nats._servers import Server

_HUNG_UP = "it hung up at once; perhaps this is not the port of NATS"
_REFUSED = "the connection was refused"
_LOGIN = "it refused the login: correct user, password or token in SIGNALBUS_NATS_URL"

#: The errors of the server about a login, in lower case, and their meanings.
_REFUSALS: t.Final = {
    "authorization violation": _LOGIN,
    "authentication timeout": "it did not get the login in time",
    "authentication expired": "the credentials have expired",
    "maximum connections exceeded": "it has reached its limit of connections",
}


async def connect(
    servers: t.Sequence[Server], options: t.Mapping[str, t.Any]
) -> Connection:
    """Return a connection to one of *servers*, which are tried in random order.

    :raises BrokerTimeoutError: if they did not answer in time.
    :raises BrokerUnavailableError: if none can be used, for any other reason.
    """
    failures: list[tuple[Server, Exception]] = []
    for server in secrets.SystemRandom().sample(servers, len(servers)):
        connection = Connection(server)
        try:
            await asyncio.wait_for(connection.open(options), CONNECT_TIMEOUT)
        except BaseException as error:
            await connection.close()
            if not isinstance(error, Exception):
                raise
            failures.append((server, error))
        else:
            return connection
    raise _unavailable(failures)


def took_too_long(servers: t.Sequence[Server]) -> BrokerTimeoutError:
    """Return the error that none of *servers* answered in time."""
    return BrokerTimeoutError(
        _describe([(server, "it took too long to connect") for server in servers])
    )


def _unavailable(failures: t.Sequence[tuple[Server, Exception]]) -> Exception:
    """Return the error that summarizes the *failures* of all servers."""
    if all(isinstance(error, asyncio.TimeoutError) for _, error in failures):
        return took_too_long([server for server, _ in failures])
    text = _describe([(server, _why(error)) for server, error in failures])
    unavailable = BrokerUnavailableError(text)
    unavailable.__cause__ = failures[-1][1]
    return unavailable


def _describe(reasons: t.Sequence[tuple[Server, str]]) -> str:
    if len(reasons) == 1:
        ((server, reason),) = reasons
        return f"NATS at {server.address} cannot be used: {reason}."
    each = "; ".join(f"{server.address}: {reason}" for server, reason in reasons)
    return f"No server of NATS can be used ({each})."


def _why(error: Exception) -> str:
    """Return, in plain words, why a connection could not be made."""
    for kind, words in _WORDS.items():
        if isinstance(error, kind):
            return words(error)
    return f"{type(error).__name__}: {error}"


def _said(text: str) -> str:
    """Return the meaning of *text*, an error of the server or of nats-py."""
    lowered = text.lower()
    for refusal, meaning in _REFUSALS.items():
        if refusal in lowered:
            return meaning
    if "info message" in lowered:
        return _HUNG_UP
    return text.removeprefix("nats: ")


def _of_the_system(error: OSError) -> str:
    if f"Errno {errno.ECONNREFUSED}]" in str(error):  # by each address of a name
        return _REFUSED
    return error.strerror or _HUNG_UP


#: The description of each kind of error; the first that matches is used.
_WORDS: t.Final[dict[type[Exception], t.Callable[[t.Any], str]]] = {
    asyncio.TimeoutError: lambda _: "it took too long to connect",
    NoTLSError: lambda _: "it does not offer TLS, which the URL asks for",
    ForbiddenError: str,
    ConnectionLostError: lambda _: _HUNG_UP,
    nats.errors.Error: lambda error: _said(str(error)),
    ConnectionRefusedError: lambda _: _REFUSED,
    ConnectionError: lambda _: _HUNG_UP,
    socket.gaierror: lambda error: (
        f"the host name could not be resolved ({error.strerror})"
    ),
    ssl.SSLCertVerificationError: lambda error: (
        f"the certificate is not trusted ({error.verify_message})"
    ),
    ssl.SSLError: lambda error: f"TLS failed ({error.reason or error})",
    OSError: _of_the_system,
}
