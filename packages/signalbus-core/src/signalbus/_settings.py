"""Read the app's settings, in all the ways in which people write them."""

from __future__ import annotations

import typing as t

from signalbus.exceptions import SettingError

AUTOFLUSH = "SIGNALBUS_AUTOFLUSH"
SYNCHRONOUS_COMMIT = "SIGNALBUS_SYNCHRONOUS_COMMIT"

#: The settings of the core itself.
NAMES = (AUTOFLUSH, SYNCHRONOUS_COMMIT)

#: How a switch may be written in text, in any case; click takes the same.
SPELLINGS = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True),
    **dict.fromkeys(("0", "false", "f", "no", "n", "off"), False),
}


def check(config: t.Mapping[str, t.Any]) -> None:
    """Raise :exc:`SettingError` if a setting of the core cannot be read."""
    for name in NAMES:
        read_switch(config, name)


def read_switch(
    config: t.Mapping[str, t.Any], name: str, *, default: bool = True
) -> bool:
    """Return whether the setting *name* is on.

    :raises SettingError: if its value is neither on nor off.
    """
    value = config.get(name, default)
    if value is True or value is False:
        return value
    switch = _as_switch(value)
    if switch is None:
        raise SettingError(
            f"{name} is {value!r}. Set it to True or False; 1 and 0, yes and no, on and"
            " off are understood, too."
        )
    return switch


def _as_switch(value: object) -> bool | None:
    """Return what *value* means, ``None`` if it is unknown."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in {0, 1}:
        return value == 1
    if isinstance(value, str):
        return SPELLINGS.get(value.strip().lower())
    return None
