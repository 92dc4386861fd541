"""Read the app's settings, in all the ways in which people write them."""

from __future__ import annotations

import math
import typing as t

from signalbus.exceptions import SettingError
from signalbus.settings import read_switch

if t.TYPE_CHECKING:
    from signalbus.typing import Autoflush

AUTOFLUSH = "SIGNALBUS_AUTOFLUSH"
AUTOFLUSH_TIMEOUT = "SIGNALBUS_AUTOFLUSH_TIMEOUT"
SYNCHRONOUS_COMMIT = "SIGNALBUS_SYNCHRONOUS_COMMIT"

#: The settings of the core itself.
NAMES = (AUTOFLUSH, AUTOFLUSH_TIMEOUT, SYNCHRONOUS_COMMIT)

#: The way of autoflushing that is neither on nor off.
BACKGROUND: t.Final = "background"

#: How long an autoflush waits for a broker by default, in seconds.
DEFAULT_AUTOFLUSH_TIMEOUT = 2.0


def check(config: t.Mapping[str, t.Any]) -> None:
    """Raise :exc:`SettingError` if a setting of the core cannot be read."""
    read_autoflush(config)
    read_autoflush_timeout(config)
    read_synchronous_commit(config)


def read_autoflush(config: t.Mapping[str, t.Any]) -> Autoflush:
    """Return whether, and how, signals are sent after the commit."""
    value = config.get(AUTOFLUSH, True)
    if value is True or value == BACKGROUND:  # at each commit
        return t.cast("Autoflush", value)
    if isinstance(value, str) and value.strip().lower() == BACKGROUND:
        return BACKGROUND
    return read_switch(AUTOFLUSH, value, f"True, False or {BACKGROUND!r}")


def read_autoflush_timeout(config: t.Mapping[str, t.Any]) -> float:
    """Return how long an autoflush waits for a broker, in seconds."""
    value = config.get(AUTOFLUSH_TIMEOUT, DEFAULT_AUTOFLUSH_TIMEOUT)
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise SettingError(
            f"{AUTOFLUSH_TIMEOUT} is {value!r}. Set it to a positive number of seconds."
        )
    return seconds


def read_synchronous_commit(config: t.Mapping[str, t.Any]) -> bool:
    """Return whether PostgreSQL writes a flush's commit to disk before it returns."""
    value = config.get(SYNCHRONOUS_COMMIT, True)
    return read_switch(SYNCHRONOUS_COMMIT, value)
