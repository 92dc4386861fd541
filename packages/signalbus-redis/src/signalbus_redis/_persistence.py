"""Find out whether the server persists its data."""

from __future__ import annotations

import enum
import typing as t

import redis
from signalbus.logs import get_logger

if t.TYPE_CHECKING:
    from signalbus_redis._url import ServerUrl

logger = get_logger("signalbus.redis")


class Persistence(enum.Enum):
    """What the server keeps on disk, as shown to users."""

    LOG = "it keeps an append-only file"
    SNAPSHOTS = "it keeps snapshots, and loses what is newer when it crashes"
    NONE = (
        "it keeps nothing on disk, and loses all messages when it stops. Set"
        " appendonly to yes in its configuration, unless that is intended"
    )
    UNKNOWN = "unknown, since it does not permit CONFIG GET"


def read(connection: t.Any) -> Persistence:
    """Ask the server what it keeps on disk.

    :raises redis.RedisError: if it does not answer.
    """
    try:
        if _setting(connection, "appendonly") == b"yes":
            return Persistence.LOG
        is_saving = bool(_setting(connection, "save"))
    except LookupError:
        return Persistence.UNKNOWN
    return Persistence.SNAPSHOTS if is_saving else Persistence.NONE


def warn(connection: t.Any, url: ServerUrl) -> None:
    """Log a warning if the server keeps nothing on disk.

    :raises redis.RedisError: if it does not answer.
    """
    if read(connection) is Persistence.NONE:
        logger.warning("%s: %s.", url, Persistence.NONE.value)


def _setting(connection: t.Any, name: str) -> bytes:
    """Return a setting of the server.

    :raises LookupError: if the server does not return it.
    """
    connection.send_command("CONFIG", "GET", name)
    try:
        _, value = connection.read_response()
    except (redis.ResponseError, ValueError) as error:
        raise LookupError(name) from error
    return bytes(value)
