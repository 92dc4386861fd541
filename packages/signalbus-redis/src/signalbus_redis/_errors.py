"""Interpret the errors of Redis and of redis-py."""

from __future__ import annotations

import typing as t

import redis
from redis import exceptions as redis_exc
from signalbus.exceptions import BrokerTimeoutError
from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import MessageRefusedError

from signalbus_redis._url import URL_SETTING

if t.TYPE_CHECKING:
    from signalbus_redis._entry import Sent
    from signalbus_redis._url import ServerUrl

#: The error replies that concern the server as a whole, by their codes, and by the
#: classes that redis-py has for some, whose codes it removes. Its versions differ.
_UNAVAILABLE_CODES: t.Final = frozenset(
    {
        "BUSY",
        "CLUSTERDOWN",
        "MASTERDOWN",
        "MISCONF",
        "NOREPLICAS",
        "TRYAGAIN",
    }
)
_UNAVAILABLE_TYPES: t.Final = (
    redis.ConnectionError,  # LOADING, NOAUTH and WRONGPASS are kinds of it
    redis.ReadOnlyError,
    redis_exc.ClusterDownError,  # MASTERDOWN is a kind of it
    redis_exc.OutOfMemoryError,
    redis_exc.TryAgainError,
)


class ConnectingTimeoutError(redis.TimeoutError):
    """Connecting took too long, TLS included; nothing has been sent."""


def is_about_server(reply: Exception) -> bool:
    """Return whether an error *reply* concerns the server, not just a message."""
    if isinstance(reply, _UNAVAILABLE_TYPES):
        return True
    return _code(reply) in _UNAVAILABLE_CODES


def is_lost_connection(error: Exception) -> bool:
    """Return whether *error* is an error of the connection, not a reply."""
    return type(error) is redis.ConnectionError


def of_reply(reply: Exception, url: ServerUrl, sent: Sent) -> Exception:
    """Return the error of a message whose *reply* is an error."""
    if is_about_server(reply):
        return BrokerUnavailableError(f"{url} takes no messages: {_text(reply)}.")
    return MessageRefusedError(
        f"{url} refused the message for the stream {sent.stream!r}: {_text(reply)}."
        f" {_remedy(reply)}"
    )


def of_connection(error: Exception, url: ServerUrl) -> BrokerUnavailableError:
    """Return the error of a burst whose connection has failed with *error*."""
    if isinstance(error, ConnectingTimeoutError):
        return BrokerTimeoutError(
            f"{url} cannot be reached: it took too long to connect. {_where(url)}"
        )
    if isinstance(error, redis.TimeoutError):
        return BrokerTimeoutError(
            f"{url} did not answer in time. What was sent without an answer may or may"
            " not have arrived; the signals stay pending until it answers."
        )
    if is_about_server(error) and not is_lost_connection(error):
        return BrokerUnavailableError(f"{url} takes no messages: {_text(error)}.")
    if url.is_tls and isinstance(error.__context__, FileNotFoundError):
        return BrokerUnavailableError(
            f"{url} cannot be reached: a file that the URL names, such as in"
            f" ssl_ca_certs, does not exist. Correct {URL_SETTING}."
        )
    return BrokerUnavailableError(
        f"{url} cannot be reached: {_text(error)}. Start it, or correct {URL_SETTING}."
    )


def _where(url: ServerUrl) -> str:
    """Return what to do about a server that does not answer a connection."""
    remedy = f"Start it, or correct {URL_SETTING}"
    return (
        f"{remedy}: redis:// if it does not offer TLS." if url.is_tls else f"{remedy}."
    )


def of_large_message(url: ServerUrl, sent: Sent) -> MessageRefusedError:
    """Return the error of a message that has broken two connections."""
    return MessageRefusedError(
        f"{url} closed the connection twice while it got the message for the stream"
        f" {sent.stream!r}, which has {sent.size:,} bytes. Make it smaller, or raise"
        " proto-max-bulk-len of the server, or the limit of a proxy in front of it."
    )


def _text(error: Exception) -> str:
    """Return the text of *error* without the address, which is named anyway."""
    text = str(error).strip().rstrip(".?") or type(error).__name__
    return text.rpartition(". ")[2] if text.startswith("Error ") else text


def _code(reply: Exception) -> str:
    """Return the first word of *reply*: its code, unless it has a class of its own."""
    return str(reply).partition(" ")[0]


def _remedy(reply: Exception) -> str:
    if _code(reply) == "WRONGTYPE":
        return "Delete that key, or send to another stream."
    if isinstance(reply, redis_exc.AskError) or _code(reply) in {"ASK", "MOVED"}:
        return f"Redis Cluster is not supported: name another server in {URL_SETTING}."
    if isinstance(reply, redis_exc.NoPermissionError):
        return "Permit its user XADD for that key."
    return "Correct the signal, or the server."
