"""Signals as rows: the values of a model's columns as attributes.

A row is what SQLAlchemy returns. Only where a column has a name that SQLAlchemy's rows
use themselves (``count``, ``index``, …), a class is made for the rows of the model.
"""

from __future__ import annotations

import operator
import typing as t

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

if t.TYPE_CHECKING:
    from signalbus.typing import PrimaryKey

MakeRows: t.TypeAlias = t.Callable[[t.Sequence[t.Any]], t.Sequence[t.Any]]
KeyOf: t.TypeAlias = "t.Callable[[t.Any], PrimaryKey]"


def attribute_names(mapper: sa_orm.Mapper[t.Any]) -> list[str]:
    """Return the names that the model gives to its columns."""
    return [attribute.key for attribute in mapper.column_attrs]


def row_maker(model: type[t.Any], names: t.Sequence[str]) -> MakeRows:
    """Return a function that makes signals of the rows of a query for *names*."""
    if not any(hasattr(sa.Row, name) for name in names):
        return _unchanged
    row_class = _row_class(model, names)
    return lambda rows: [row_class(row) for row in rows]


def _unchanged(rows: t.Sequence[t.Any]) -> t.Sequence[t.Any]:
    return rows


def _row_class(model: type[t.Any], names: t.Sequence[str]) -> type[tuple[t.Any, ...]]:
    """Return a tuple class that has *names* for its attributes, and no others."""
    values = {
        name: property(operator.itemgetter(position))
        for position, name in enumerate(names)
    }
    return type(f"{model.__name__}Row", (tuple,), {"__slots__": (), **values})


def key_getter(mapper: sa_orm.Mapper[t.Any], names: list[str]) -> KeyOf:
    """Return a function that takes the primary key out of a row."""
    positions = [
        names.index(mapper.get_property_by_column(column).key)
        for column in mapper.primary_key
    ]
    if len(positions) > 1:
        return operator.itemgetter(*positions)
    (position,) = positions
    return lambda row: (row[position],)


def key_of_instance(instance: object) -> PrimaryKey:
    """Return the primary key of a model instance."""
    return t.cast("PrimaryKey", sa.inspect(instance, raiseerr=True).identity)


class SentValues:
    """Compares what was sent of a model with what is in its table afterwards.

    Left out is what the database computes, which may differ each time, and what an
    instance has not loaded, such as deferred columns.
    """

    def __init__(self, mapper: sa_orm.Mapper[t.Any], *, as_rows: bool) -> None:
        self._as_rows = as_rows
        self._stored = [
            attribute.key
            for attribute in mapper.column_attrs
            if isinstance(attribute.columns[0], sa.Column)
        ]

    def of(self, signals: t.Sequence[t.Any]) -> t.Sequence[t.Any]:
        """Return the values of *signals* as they are now.

        A sender may change an instance, and a rollback expires it.
        """
        return signals if self._as_rows else [vars(signal).copy() for signal in signals]

    def are_equal(self, one: t.Any, other: t.Any) -> bool | None:
        """Compare the values of two signals; ``None`` if they cannot be compared."""
        if self._as_rows:
            pairs = [
                (getattr(one, name), getattr(other, name)) for name in self._stored
            ]
        else:
            names = [name for name in self._stored if name in one and name in other]
            pairs = [(one[name], other[name]) for name in names]
        answers = {_is_same(*pair) for pair in pairs}
        return None if None in answers else False not in answers


def _is_same(one: t.Any, other: t.Any) -> bool | None:
    """Return whether two values are equal, or both NaN; ``None`` if unknown."""
    if one == other or (one != one and other != other):  # noqa: PLR0124 NaN
        return True
    equality: t.Any = type(one).__eq__
    by_identity = equality is object.__eq__ and type(one) is type(other)
    return None if by_identity else False
