"""Read the values of settings, which may be strings. Plugins may use it, too."""

from __future__ import annotations

import math
import typing as t
import urllib.parse

from signalbus.exceptions import SettingError

__all__ = ["read_seconds", "read_switch", "split_url"]

#: How a switch may be written as text, in upper or lower case, as in click.
_SPELLINGS: t.Final = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True),
    **dict.fromkeys(("0", "false", "f", "no", "n", "off"), False),
}


def read_switch(name: str, value: object, choices: str = "True or False") -> bool:
    """Return whether *value*, of the setting *name*, means on.

    It may be ``True`` or ``False``, 1 or 0, or a string such as ``"yes"`` or ``"off"``,
    in upper or lower case, since environment variables are strings.

    :param choices: the values that the error message suggests.
    :raises SettingError: if it means neither on nor off.
    """
    switch = _as_switch(value)
    if switch is None:
        raise SettingError(
            f"{name} is {value!r}. Set it to {choices}; 1 and 0, yes and no, on and"
            " off are understood, too."
        )
    return switch


def read_seconds(name: str, value: object) -> float:
    """Return *value*, of the setting *name*, as a positive number of seconds.

    It may be a string, since environment variables are strings.

    :raises SettingError: if it is not a number, or not positive and finite.
    """
    seconds = _as_number(value)
    if not 0 < seconds < math.inf:
        raise SettingError(f"{name} is {value!r}. Set it to a number of seconds.")
    return seconds


def split_url(value: object) -> urllib.parse.SplitResult | None:
    """Return the parts of a URL, or ``None`` if *value* is not a valid URL.

    A URL is invalid if its port is not a number. It is also invalid if an ``@`` follows
    a host without a user: then a password was not percent-encoded, and what looks like
    the host contains a part of it. So the host and the port of the result are safe to
    show. The errors of URL parsers are not safe, and never leave this function.
    """
    if not isinstance(value, str):
        return None
    try:
        parts = urllib.parse.urlsplit(value)
        _ = parts.port  # read when it is asked for
    except ValueError:  # its text may have the password
        return None
    behind = f"{parts.path}?{parts.query}#{parts.fragment}"
    return None if "@" in behind and "@" not in parts.netloc else parts


def _as_number(value: t.Any) -> float:
    """Return *value* as a number, or NaN if it is not a number."""
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return math.nan


def _as_switch(value: object) -> bool | None:
    """Return what *value* means, or ``None`` if that is unknown."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in {0, 1}:
        return value == 1
    if isinstance(value, str):
        return _SPELLINGS.get(value.strip().lower())
    return None
