"""Describe in plain words why a connection could not be made, or was lost."""

from __future__ import annotations

import re
import socket
import ssl
import typing as t

import pika.exceptions
from pika.adapters.utils import connection_workflow

_ACCESS_REFUSED = 403
_NOT_ALLOWED = 530

_TOOK_TOO_LONG = "it took too long to connect"

_VHOST_HINT = ". In the URL, the virtual host '/' is %2F"

#: What needs no more words than its kind.
_BY_KIND: t.Sequence[tuple[type[BaseException], str]] = (
    (ConnectionRefusedError, "the connection was refused"),
    (TimeoutError, _TOOK_TOO_LONG),
    (connection_workflow.AMQPConnectorStackTimeout, _TOOK_TOO_LONG),
    (pika.exceptions.ConnectionOpenAborted, _TOOK_TOO_LONG),  # as pika's limits end it
    (pika.exceptions.AMQPHeartbeatTimeout, "the connection was lost (no heartbeats)"),
    (pika.exceptions.StreamLostError, "the connection was lost"),
    (pika.exceptions.ProbableAuthenticationError, "it hung up during the login"),
    (pika.exceptions.ProbableAccessDeniedError, "it hung up during the login"),
    (
        pika.exceptions.IncompatibleProtocolError,
        "it hung up at once; perhaps this is not the port of an AMQP broker",
    ),
    (ConnectionError, "the connection was lost"),
)


def in_words(loss: BaseException, virtual_host: str, *, was_up: bool) -> str:
    """Return the reason for *loss*, without pika's internals.

    :param loss: what pika says, or what the broker said before it closed.
    :param was_up: whether the connection had been opened.
    """
    error = _innermost(loss)
    if isinstance(error, pika.exceptions.ConnectionClosed):
        return _closed(error, virtual_host, was_up=was_up)
    if isinstance(error, socket.gaierror):
        return _unresolved(error)
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {_tls_reason(error)}"
    for kind, words in _BY_KIND:
        if isinstance(error, kind):
            return words
    return _otherwise(error, was_up=was_up)


def _innermost(error: BaseException) -> BaseException:
    """Return the error that pika wrapped, possibly in several layers."""
    inner = getattr(error, "exceptions", None) or error.args[:1]
    if inner and isinstance(inner[-1], BaseException):
        return _innermost(inner[-1])
    wrapped = getattr(error, "exception", None)
    return _innermost(wrapped) if isinstance(wrapped, BaseException) else error


def _closed(
    error: pika.exceptions.ConnectionClosed, virtual_host: str, *, was_up: bool
) -> str:
    if not was_up and error.reply_code == _ACCESS_REFUSED:
        return "wrong user or password"
    text = error.reply_text.rstrip(".")
    if not was_up and error.reply_code == _NOT_ALLOWED:
        detail = re.sub(r"^NOT_ALLOWED - ", "", text)
        hint = _VHOST_HINT if _is_unknown(detail, virtual_host) else ""
        return f"the virtual host {virtual_host!r} cannot be used: {detail}{hint}"
    return f"it closed the connection: ({error.reply_code}) {text}"


def _is_unknown(detail: str, virtual_host: str) -> bool:
    return not virtual_host or "not found" in detail


def _unresolved(error: socket.gaierror) -> str:
    if error.errno == socket.EAI_NONAME:
        return "the host name is not known"
    return f"the host name could not be resolved: {error.strerror}"


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted ({error.verify_message})"
    if isinstance(error, ssl.SSLEOFError):
        return "the connection was closed"
    return (error.reason or str(error)).replace("_", " ").lower()


def _otherwise(error: BaseException, *, was_up: bool) -> str:
    """Describe an error for which there is no text of its own here."""
    if isinstance(error, OSError) and error.strerror:
        what = error.strerror
    else:
        what = f"{type(error).__name__}: {error}".rstrip(".: ")
    return f"the connection was lost ({what})" if was_up else f"cannot connect ({what})"
