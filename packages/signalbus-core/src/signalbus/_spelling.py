"""Find attributes of models, and settings, that were probably meant to be ours.

A model with ``signalbus_brokr`` is not a signal model, and nobody sends its rows. That
is not an error: the attribute may be the application's own. So may be a setting.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import typing as t

import sqlalchemy as sa

from signalbus import _discover

#: How the names of ours begin.
BEGINNINGS = ("signalbus_", "send_signalbus")

#: How the names of our settings begin.
SETTING = "SIGNALBUS_"

#: What a name that begins otherwise may be a typo of.
METHODS = ("send_signalbus_message", "send_signalbus_messages")

#: How close two names must be, from 0 to 1. They have the long beginning in common.
CLOSE = 0.88

#: What tells one of several things of the application's own from another.
_NUMBERS = re.compile(r"_?\d+")


@dataclasses.dataclass(frozen=True)
class Stranger:
    """An attribute of *model* that looks like ours, and what was probably *meant*."""

    model: type[t.Any]
    name: str
    meant: str | None

    def __str__(self) -> str:
        """Say it to people: the fact, then the remedy."""
        fact = (
            f"{self.model.__name__} has an attribute {self.name!r}, which neither"
            " signalbus nor a plugin knows"
        )
        if self.meant is None:
            return f"{fact}. Rename it, or install the plugin that it is for."
        if not _discover.is_sendable(self.model):
            fact += ", and nothing sends this model"
        return f"{fact}. Did you mean {self.meant!r}?"


def find_strangers(
    model: type[t.Any], known: t.Collection[str]
) -> t.Iterator[Stranger]:
    """Yield the attributes of *model* that look like ours and are not *known*.

    What is mapped, such as columns and relationships, may have any name.
    """
    mapped = sa.inspect(model).all_orm_descriptors.keys()
    for name in sorted(_attributes(model).difference(mapped, known)):
        if name.startswith(BEGINNINGS):
            yield Stranger(model, name, _closest(name, known))
        elif (meant := _closest(name, METHODS)) and not hasattr(model, meant):
            yield Stranger(model, name, meant)


@dataclasses.dataclass(frozen=True)
class StrangeSetting:
    """A setting that looks like one of ours, and what was probably *meant*."""

    name: str
    meant: str

    def __str__(self) -> str:
        """Say it to people, without its value, which may be secret."""
        return (
            f"The app has a setting {self.name!r}, which neither signalbus nor a plugin"
            f" knows. Did you mean {self.meant!r}?"
        )


def find_strange_settings(
    names: t.Iterable[object], known: t.Collection[str]
) -> t.Iterator[StrangeSetting]:
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
            yield StrangeSetting(name, ours[found])


def _attributes(model: type[t.Any]) -> set[str]:
    """Return the public names of *model* and of all that it inherits from."""
    names = {name for base in model.__mro__ for name in vars(base)}
    return {name for name in names if not name.startswith("_")}


def _closest(name: str, names: t.Collection[str]) -> str | None:
    """Return that of *names* which is most like *name*, if one is."""
    found = difflib.get_close_matches(name, names, 1, CLOSE)
    return found[0] if found else None
