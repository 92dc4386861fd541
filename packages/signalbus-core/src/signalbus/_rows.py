"""Signals in row form: the values of a model's columns as attributes.

A row is what SQLAlchemy returns. Only where a column has a name that its rows keep for
themselves (``count``, ``index``, …), a class is made for them.
"""

from __future__ import annotations

import operator
import typing as t

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

MakeRows: t.TypeAlias = t.Callable[[t.Sequence[t.Any]], t.Sequence[t.Any]]


def attribute_names(mapper: sa_orm.Mapper[t.Any]) -> list[str]:
    """Return the names that the model gives to its columns."""
    return [attribute.key for attribute in mapper.column_attrs]


def row_maker(model: type[t.Any], names: t.Sequence[str]) -> MakeRows:
    """Return what makes signals of the rows that a query for *names* returned."""
    if not any(hasattr(sa.Row, name) for name in names):
        return _as_they_are
    row_class = _row_class(model, names)
    return lambda rows: [row_class(row) for row in rows]


def _as_they_are(rows: t.Sequence[t.Any]) -> t.Sequence[t.Any]:
    return rows


def _row_class(model: type[t.Any], names: t.Sequence[str]) -> type[tuple[t.Any, ...]]:
    """Return a tuple class whose attributes are only *names*."""
    values = {
        name: property(operator.itemgetter(position))
        for position, name in enumerate(names)
    }
    return type(f"{model.__name__}Row", (tuple,), {"__slots__": (), **values})
