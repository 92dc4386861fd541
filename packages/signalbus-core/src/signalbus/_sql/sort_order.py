"""Take orders apart: the expressions of an ORDER BY, and their directions."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
import sqlalchemy.sql.operators as sa_operators
import sqlalchemy.sql.visitors as sa_visitors

_DIRECTIONS: dict[t.Any, t.Callable[[t.Any], t.Any]] = {
    sa_operators.asc_op: sa.asc,
    sa_operators.desc_op: sa.desc,
    sa_operators.nulls_first_op: sa.nulls_first,
    sa_operators.nulls_last_op: sa.nulls_last,
}


class SortOrder:
    """The expressions of an ORDER BY, apart from their directions.

    The query around one that has sorted by them can so sort by them again.
    """

    def __init__(self, order_by: t.Sequence[t.Any]) -> None:
        split = [_split(expression) for expression in order_by]
        #: What the inner query has to select.
        self.values: list[t.Any] = [value for value, _ in split]
        self._directions = [directions for _, directions in split]

    def of(self, columns: t.Sequence[t.Any]) -> list[t.Any]:
        """Return the order by *columns*, which have the values."""
        order = []
        for column, directions in zip(columns, self._directions, strict=True):
            for direction in directions:
                column = direction(column)  # noqa: PLW2901 wrapped step by step
            order.append(column)
        return order


def attached(expression: t.Any, table: t.Any) -> t.Any:
    """Return *expression* with the columns of *table*.

    The columns of a mixin are copied to the tables of its models. An order that a mixin
    declares has the mixin's columns, which belong to no table.
    """

    def replace(element: t.Any, **_: object) -> t.Any:
        if isinstance(element, sa.Column) and element.table is None:
            return table.c[element.key]
        return None

    clause = getattr(expression, "__clause_element__", lambda: expression)()
    return sa_visitors.replacement_traverse(clause, {}, replace)


def _split(expression: t.Any) -> tuple[t.Any, list[t.Callable[[t.Any], t.Any]]]:
    """Return an expression without its directions, and those from the inside out."""
    directions: list[t.Callable[[t.Any], t.Any]] = []
    while (
        isinstance(expression, sa.UnaryExpression)
        and expression.modifier in _DIRECTIONS
    ):
        directions.insert(0, _DIRECTIONS[expression.modifier])
        expression = expression.element
    return expression, directions
