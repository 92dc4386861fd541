"""The idle connections of a process."""

from __future__ import annotations

import importlib.util
import queue
import typing as t

from signalbus.exceptions import BrokerUnavailableError
from signalbus.exceptions import describe_error

from signalbus_celery._amqp_publisher import AmqpPublisher
from signalbus_celery._failures import place_of
from signalbus_celery._publisher import Publisher

#: How many idle connections are kept open.
MAX_IDLE = 10


class PublisherPool:
    """Open publishers that are not in use. The last used one is reused first.

    Each has one user at a time, so threads never share one. A server that starts a
    thread for each request need not connect each time.
    """

    def __init__(self) -> None:
        self._idle: queue.LifoQueue[Publisher] = queue.LifoQueue(MAX_IDLE)

    def take(self, celery: t.Any) -> Publisher | None:
        """Return a publisher of *celery* that still works, if there is one."""
        while publisher := self._pop():
            if publisher.celery is celery and publisher.is_alive():
                return publisher
            publisher.abort()
        return None

    def put(self, publisher: Publisher) -> None:
        """Keep *publisher* for later, or close it if there are enough."""
        try:
            self._idle.put_nowait(publisher)
        except queue.Full:
            publisher.close()

    def abandon(self) -> None:
        """Close all without notifying the broker, which does not answer."""
        while publisher := self._pop():
            publisher.abort()

    def close(self) -> None:
        """Close all."""
        while publisher := self._pop():
            publisher.close()

    def _pop(self) -> Publisher | None:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return None


def new_publisher(celery: t.Any, timeout: float) -> Publisher:
    """Return a publisher, not yet open, for the broker of *celery*.

    :raises BrokerUnavailableError: if Celery has no transport for it with confirms.
    """
    connection = _connection(celery)
    transport = connection.transport
    if transport.driver_type != "amqp":
        return Publisher(celery, connection, timeout)
    if transport.driver_name != "py-amqp":
        raise BrokerUnavailableError(
            f"Celery uses {transport.driver_name}, which has no publisher confirms."
            f" Change the broker_url of {place_of(connection)} to begin with pyamqp://."
        )
    return AmqpPublisher(celery, connection, timeout)


def _connection(celery: t.Any) -> t.Any:
    try:
        connection = celery.connection_for_write()
        _ = connection.transport
    except Exception as error:  # noqa: BLE001 whatever it is, nothing can be sent
        unusable = BrokerUnavailableError(_unusable(celery, error))
        unusable.__cause__ = error if _is_safe(error) else None
    else:
        return connection
    raise unusable  # not in the clause: the context may have a password


def _is_safe(error: Exception) -> bool:
    """Return whether *error* cannot contain the URL, and so no password."""
    return isinstance(error, (ImportError, LookupError))


def _unusable(celery: t.Any, error: Exception) -> str:
    """Return why no connection can be made, and the remedy, without the URL."""
    urls = celery.conf.broker_write_url
    first = urls if isinstance(urls, str) else next(iter(urls or ()), "")
    is_redis = first.startswith(("redis://", "rediss://"))
    if is_redis and importlib.util.find_spec("redis") is None:
        return (
            "Celery cannot use its broker_url, since redis-py is not installed."
            ' Install it: pip install "celery[redis]".'
        )
    reason = describe_error(error) if _is_safe(error) else type(error).__name__
    return (
        f"Celery cannot use its broker_url ({reason}). Correct the setting, or install"
        " what it needs."
    )
