"""Find attributes of models, and settings, that are probably mistyped.

A model with ``signalbus_brokr`` is not a signal model, and its rows are never sent.
That is not an error: the attribute may be the application's own, and so may a setting.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing as t

import sqlalchemy as sa

from signalbus import _declare

#: How the names of our attributes begin.
BEGINNINGS = ("signalbus_", "send_signalbus")

#: How the names of our settings begin.
SETTING = "SIGNALBUS_"

#: The names that a name which begins otherwise may be a typo of.
METHODS = ("send_signalbus_message", "send_signalbus_messages")

#: How similar two names must be, from 0 to 1. They have the long prefix in common.
CLOSE = 0.88

#: Numbers, by which the application distinguishes things of its own.
_NUMBERS = re.compile(r"_?\d+")


@dataclasses.dataclass(frozen=True)
class UnknownAttribute:
    """An attribute of *model* that looks like ours, and which was probably *meant*."""

    model: type[t.Any]
    name: str
    meant: str | None

    def __str__(self) -> str:
        """Return the fact, then the remedy, for people."""
        fact = (
            f"{self.model.__name__} has an attribute {self.name!r}, which neither"
            " signalbus nor a plugin knows"
        )
        if self.meant is None:
            return f"{fact}. Rename it, or install the plugin that it is for."
        if not _declare.is_sendable(self.model):
            fact += ", and this model is never sent"
        return f"{fact}. Did you mean {self.meant!r}?"


def find_unknown_attributes(
    model: type[t.Any], known: t.Collection[str]
) -> t.Iterator[UnknownAttribute]:
    """Yield the attributes of *model* that look like ours and are not *known*.

    What is mapped, such as columns and relationships, may have any name.
    """
    mapped = sa.inspect(model).all_orm_descriptors.keys()
    for name in sorted(_attributes(model).difference(mapped, known)):
        if name.startswith(BEGINNINGS):
            yield UnknownAttribute(model, name, _closest(name, known))
        elif (meant := _closest(name, METHODS)) and not hasattr(model, meant):
            yield UnknownAttribute(model, name, meant)


@dataclasses.dataclass(frozen=True)
class UnknownSetting:
    """A setting that looks like one of ours, and which name was probably *meant*."""

    name: str
    meant: str

    def __str__(self) -> str:
        """Return the fact for people, without the value, which may be secret."""
        return (
            f"The app has a setting {self.name!r}, which neither signalbus nor a plugin"
            f" knows. Did you mean {self.meant!r}?"
        )


def find_unknown_settings(
    names: t.Iterable[object], known: t.Collection[str]
) -> t.Iterator[UnknownSetting]:
    """Yield those of *names* that are not *known*, but close to one that is.

    Others are the application's own: it chooses the prefixes of its consumers. So are
    names that differ from ours by numbers only, such as those of a second consumer.
    """
    ours = {name.removeprefix(SETTING): name for name in known}
    for name in names:
        if not isinstance(name, str) or name in known or not name.startswith(SETTING):
            continue
        rest = name.removeprefix(SETTING)
        found = _closest(rest.upper(), ours)
        if found and found != _NUMBERS.sub("", rest):
            yield UnknownSetting(name, ours[found])


def _attributes(model: type[t.Any]) -> set[str]:
    """Return the public names of *model* and of all that it inherits from."""
    names = {name for base in model.__mro__ for name in vars(base)}
    return {name for name in names if not name.startswith("_")}


def _closest(name: str, names: t.Collection[str]) -> str | None:
    """Return that of *names* which is most like *name*, if one is."""
    found = difflib.get_close_matches(name, names, 1, CLOSE)
    return found[0] if found else None
