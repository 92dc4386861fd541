"""The columns of a signal model whose values are hidden."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
from signalbus import SignalModelError

if t.TYPE_CHECKING:
    from signalbus.typing import SignalModel

#: The attribute that a model declares.
ATTRIBUTE: t.Final = "signalbus_hidden"


def hidden_columns(model: SignalModel) -> frozenset[str]:
    """Return the names of the columns of *model* that are hidden."""
    return frozenset(getattr(model, ATTRIBUTE, ()))


def check_model(model: SignalModel) -> None:
    """Raise :exc:`SignalModelError` if *model* hides a column that it cannot hide."""
    names = getattr(model, ATTRIBUTE, ())
    if isinstance(names, str) or not all(isinstance(each, str) for each in names):
        raise SignalModelError(
            f"The signal model {model.__name__} has a {ATTRIBUTE} of {names!r}. Set it"
            " to a tuple of the names of columns, such as ('card_number',)."
        )
    mapper = sa.inspect(model)
    keys = {mapper.get_property_by_column(each).key for each in mapper.primary_key}
    for name in names:
        if name not in mapper.column_attrs:
            raise SignalModelError(
                f"The signal model {model.__name__} hides {name!r}, which is not one of"
                f" its columns. Correct {ATTRIBUTE}."
            )
        if name in keys:
            raise SignalModelError(
                f"The signal model {model.__name__} hides {name!r}, which is in its"
                f" primary key. Addresses and logs have the key: remove it from"
                f" {ATTRIBUTE}, and use another key."
            )
