"""Find attributes of models that were probably meant to be ours.

A model with ``signalbus_brokr`` is not a signal model, and nobody sends its rows. That
is no error: the attribute may be the application's own.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing as t

import sqlalchemy as sa

from signalbus import _discover

#: How the names of ours begin.
BEGINNINGS = ("signalbus_", "send_signalbus")

#: What a name that begins otherwise may be a typo of.
METHODS = ("send_signalbus_message", "send_signalbus_messages")

#: How close two names must be, from 0 to 1. They have the long beginning in common.
CLOSE = 0.88


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


def _attributes(model: type[t.Any]) -> set[str]:
    """Return the public names of *model* and of all that it inherits from."""
    names = {name for base in model.__mro__ for name in vars(base)}
    return {name for name in names if not name.startswith("_")}


def _closest(name: str, names: t.Collection[str]) -> str | None:
    """Return that of *names* which is most like *name*, if one is."""
    found = difflib.get_close_matches(name, names, 1, CLOSE)
    return found[0] if found else None
