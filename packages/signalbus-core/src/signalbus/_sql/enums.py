"""Sort enums as MySQL does: columns by rank, and those of a ``UNION`` by name."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
import sqlalchemy.dialects.mysql as sa_mysql


def is_ranked(value: t.Any) -> bool:
    """Return whether MySQL sorts *value* by rank: if it is a column with an enum."""
    if not isinstance(value, sa.Column):
        return False
    return names(value.type) is not None or isinstance(value.type, sa_mysql.SET)


def rank(value: t.Any) -> t.Any:
    """Return what MySQL sorts *value* by."""
    return sa.type_coerce(value, sa.Integer()) + 0 if is_ranked(value) else value


def names(column_type: sa.types.TypeEngine[t.Any]) -> t.Sequence[str] | None:
    """Return the names of an enum in the order of their ranks, if it is one."""
    while isinstance(column_type, sa.TypeDecorator):
        column_type = column_type.impl_instance
    if isinstance(column_type, sa.Enum) and column_type.native_enum:
        return column_type.enums
    return None
