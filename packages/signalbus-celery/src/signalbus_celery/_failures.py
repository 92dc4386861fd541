"""Interpret the errors of Celery and its transports."""

from __future__ import annotations

import typing as t

from kombu.exceptions import OperationalError
from signalbus.exceptions import BrokerTimeoutError
from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import describe_error

#: Errors of Redis that do not concern the message: it accepts none at all.
NOT_WRITABLE: t.Final = frozenset(
    {
        "ClusterDownError",
        "MasterDownError",
        "OutOfMemoryError",
        "ReadOnlyError",
    }
)

#: The prefix of another such error, which has no class: it cannot write to its disk.
CANNOT_SAVE: t.Final = "MISCONF"


class ConnectionLostError(BrokerUnavailableError):
    """An open connection was lost. A new one may work."""


def cause_of(error: Exception) -> Exception:
    """Return the error of the transport, which Celery may have wrapped."""
    cause = error.__cause__
    if isinstance(error, OperationalError) and isinstance(cause, Exception):
        return cause
    return error


def reason_of(error: Exception) -> str:
    """Return the text of *error* without a final period."""
    return describe_error(error).rstrip(".")


def is_lost(error: Exception, connection: t.Any) -> bool:
    """Return whether *error* means that *connection* can no longer be used."""
    if isinstance(error, LookupError):  # some transports count it, but it is Celery's
        return False
    return (
        isinstance(error, (OSError, *connection.connection_errors))
        or type(error).__name__ in NOT_WRITABLE
        or str(error).startswith(CANNOT_SAVE)
    )


def is_timeout(error: BaseException) -> bool:
    """Return whether *error* means that no answer arrived in time.

    An error with a number comes from the system, and means that the connection is lost.
    """
    if isinstance(error, TimeoutError):
        return error.errno is None
    return type(error).__name__ == "TimeoutError"  # redis has one of its own


def unreachable(place: str, error: Exception) -> BrokerUnavailableError:
    """Return the error that connecting to *place* has failed."""
    if is_timeout(error):
        return timed_out(place)
    return BrokerUnavailableError(
        f"Celery's broker at {place} cannot be reached: {reason_of(error)}. Start it,"
        " or correct the broker_url of the Celery app."
    )


def lost(place: str, error: Exception) -> BrokerUnavailableError:
    """Return the error that a connection to *place* was lost."""
    if is_timeout(error):
        return timed_out(place)
    return ConnectionLostError(
        f"The connection to Celery's broker at {place} was lost: {reason_of(error)}."
    )


def timed_out(place: str, reason: str = "") -> BrokerTimeoutError:
    """Return the error that the broker at *place* is silent."""
    return BrokerTimeoutError(
        f"Celery's broker at {place} did not answer in time{reason}."
    )


def place_of(connection: t.Any) -> str:
    """Return the address of *connection*, without user and password."""
    transport = str(connection.transport_cls)
    if "." in transport:
        transport = transport.rpartition(".")[2]
    # A password that is not percent-encoded ends up in host and virtual host.
    is_odd = "@" in (connection.virtual_host or "")
    if is_odd or connection.uri_prefix or connection.transport.can_parse_url:
        return f"{transport}://"
    host = connection.hostname or "localhost"
    port = connection.port or connection.transport.default_port
    return f"{transport}://{host}:{port}/{connection.virtual_host or ''}"
