"""The settings of this distribution."""

from __future__ import annotations

import typing as t

from signalbus.exceptions import SettingError
from signalbus.settings import read_seconds
from signalbus.settings import read_switch

#: Whether this process reports what is in the database: ``"relay"``, on or off.
PENDING: t.Final = "SIGNALBUS_OTEL_PENDING"

#: Up to how many signals of a model are counted.
LIMIT: t.Final = "SIGNALBUS_OTEL_PENDING_LIMIT"

#: How many seconds the values that were read are used again.
INTERVAL: t.Final = "SIGNALBUS_OTEL_INTERVAL"

NAMES: t.Final = (PENDING, LIMIT, INTERVAL)

#: In a process in which a relay is running, and in no other.
RELAY: t.Final = "relay"

Config: t.TypeAlias = t.Mapping[str, t.Any]


class Settings(t.NamedTuple):
    """The settings of one app.

    :param pending: whether to read the database; ``None``: only if a relay is running.
    """

    pending: bool | None
    limit: int
    interval: float


def read(config: Config) -> Settings:
    """Return the settings of an app.

    :raises SettingError: if one cannot be read.
    """
    interval = read_seconds(INTERVAL, config.get(INTERVAL, 5.0))
    return Settings(_read_pending(config), _read_limit(config), interval)


def _read_pending(config: Config) -> bool | None:
    value = config.get(PENDING, RELAY)
    if isinstance(value, str) and value.strip().lower() == RELAY:
        return None
    return read_switch(PENDING, value, '"relay", True or False')


def _read_limit(config: Config) -> int:
    value = config.get(LIMIT, 10_000)
    try:
        limit = 0 if isinstance(value, bool) else int(value)
    except (TypeError, ValueError):
        limit = 0
    if limit < 1:
        raise SettingError(f"{LIMIT} is {value!r}. Set it to a positive number.")
    return limit
