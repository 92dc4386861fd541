"""Sort enums as MySQL does: columns by rank, and those of a ``UNION`` by name."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
import sqlalchemy.dialects.mysql as sa_mysql


def is_ranked(value: t.Any) -> bool:
    """Return whether MySQL sorts *value* by rank: if it is a column with an enum."""
    return isinstance(value, sa.Column) and _has_ranks(value.type)


def rank(value: t.Any) -> t.Any:
    """Return what MySQL sorts *value* by."""
    return sa.type_coerce(value, sa.Integer()) + 0 if is_ranked(value) else value


def _has_ranks(column_type: sa.types.TypeEngine[t.Any]) -> bool:
    while isinstance(column_type, sa.TypeDecorator):
        column_type = column_type.impl_instance
    if isinstance(column_type, sa.Enum):
        return bool(column_type.native_enum)
    return isinstance(column_type, sa_mysql.SET)
