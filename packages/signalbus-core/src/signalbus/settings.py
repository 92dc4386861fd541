"""Read settings in all the ways in which people write them. For plugins, too."""

from __future__ import annotations

import typing as t

from signalbus.exceptions import SettingError

__all__ = ["read_switch"]

#: How a switch may be written in text, in any case; click takes the same.
_SPELLINGS: t.Final = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True),
    **dict.fromkeys(("0", "false", "f", "no", "n", "off"), False),
}


def read_switch(name: str, value: object, choices: str = "True or False") -> bool:
    """Return whether *value*, of the setting *name*, means on.

    It may be ``True`` or ``False``, 1 or 0, or a text such as ``"yes"`` and ``"off"``,
    in any case: the environment has nothing but texts.

    :param choices: what the error tells people to set it to.
    :raises SettingError: if it means neither on nor off.
    """
    switch = _as_switch(value)
    if switch is None:
        raise SettingError(
            f"{name} is {value!r}. Set it to {choices}; 1 and 0, yes and no, on and"
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
        return _SPELLINGS.get(value.strip().lower())
    return None
