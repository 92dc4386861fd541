"""Compare primary keys in SQL: with one of many, and with the last one passed."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
import sqlalchemy.dialects.postgresql as sa_postgresql

from signalbus._sql import enums
from signalbus._sql.key_types import key_type

if t.TYPE_CHECKING:
    from signalbus.typing import PrimaryKey

Columns: t.TypeAlias = t.Sequence[sa.ColumnElement[t.Any]]
Params: t.TypeAlias = dict[str, t.Any]

#: Databases that take all keys as one array parameter.
WITH_ARRAYS = frozenset({"postgresql"})

#: Databases whose joins may depend on the rows that they join. MariaDB has none such,
#: and what works there works on MySQL.
WITH_LATERAL = frozenset({"postgresql"})

#: Databases whose planner uses an index for ``(a, b) > (x, y)``.
WITH_ROW_COMPARISON = frozenset({"postgresql", "sqlite"})

#: The two names that SQLAlchemy has for MySQL and MariaDB.
MYSQL = frozenset({"mysql", "mariadb"})

#: How many values one statement names at most; SQLite and PostgreSQL limit parameters.
MAX_VALUES = 10_000


def among(columns: Columns, dialect: str) -> sa.ColumnElement[bool]:
    """Return the condition that the key is one of those of :func:`among_params`.

    There may be :func:`max_keys` of them.
    """
    if len(columns) > 1 and dialect in MYSQL:
        return equal(columns)
    if len(columns) > 1:
        pairs: t.Any = sa.bindparam("keys", expanding=True)
        exact = [sa.type_coerce(column, key_type(column.type)) for column in columns]
        return sa.tuple_(*exact).in_(pairs)
    (column,) = columns
    if dialect in WITH_ARRAYS:
        return column == sa.any_(_array(key_type(column.type)))
    return column.in_(sa.bindparam("keys", expanding=True))


def equal(columns: Columns) -> sa.ColumnElement[bool]:
    """Return the condition that the key is the first of :func:`among_params`."""
    return sa.and_(
        *[
            column == sa.bindparam(f"key_{number}", type_=key_type(column.type))
            for number, column in enumerate(columns)
        ]
    )


def _array(of: sa.types.TypeEngine[t.Any]) -> sa.Cast[t.Any]:
    """Return all keys as one array, whose length PostgreSQL does not see.

    For a long one it would rather scan the table than look each key up.
    """
    array = sa_postgresql.ARRAY(of, dimensions=1)
    keys = sa.select(sa.bindparam("keys", type_=array).label("keys"))
    return sa.cast(keys.scalar_subquery(), array)


def among_params(keys: t.Sequence[PrimaryKey]) -> Params:
    """Return the parameters of :func:`among` and :func:`equal`."""
    first = {f"key_{number}": part for number, part in enumerate(keys[0])}
    if len(first) > 1:
        return {"keys": list(keys), **first}
    return {"keys": [key for (key,) in keys], **first}


def max_keys(columns: Columns, dialect: str) -> int:
    """Return how many keys the condition of :func:`among` may be given.

    MySQL compares a list of composite keys without converting their text, so that it
    may find none of them; there it gets one at a time.
    """
    if len(columns) > 1 and dialect in MYSQL:
        return 1
    return MAX_VALUES // len(columns)


def after(columns: Columns, dialect: str) -> sa.ColumnElement[bool]:
    """Return the condition that the key comes after that of :func:`after_params`."""
    marks: list[sa.ColumnElement[t.Any]] = [
        sa.bindparam(f"after_{number}", type_=key_type(column.type))
        for number, column in enumerate(columns)
    ]
    if dialect in WITH_ROW_COMPARISON and len(columns) > 1:
        return sa.tuple_(*columns) > sa.tuple_(*marks)
    ranked = columns
    if dialect in MYSQL:
        ranked = [_ranked(column, column.type) for column in columns]
        marks = [
            _ranked(mark, column.type)
            for mark, column in zip(marks, columns, strict=True)
        ]
    return _after(list(zip(ranked, marks, strict=True)))


def after_params(key: PrimaryKey) -> Params:
    """Return the parameters of :func:`after`."""
    return {f"after_{number}": value for number, value in enumerate(key)}


def _ranked(
    value: sa.ColumnElement[t.Any], column_type: sa.types.TypeEngine[t.Any]
) -> sa.ColumnElement[t.Any]:
    """Make MySQL compare an ENUM as it sorts it: by rank, and not by name."""
    names = enums.names(column_type)
    return value if names is None else sa.func.field(value, *names)


def _after(
    pairs: list[tuple[sa.ColumnElement[t.Any], sa.ColumnElement[t.Any]]],
) -> sa.ColumnElement[bool]:
    """Spell a row comparison out as ranges of an index: a > x OR a = x AND b > y."""
    (column, mark), *rest = pairs
    if not rest:
        return column > mark
    return sa.or_(column > mark, sa.and_(column == mark, _after(rest)))


def slices(
    keys: t.Sequence[PrimaryKey], length: int
) -> t.Iterator[t.Sequence[PrimaryKey]]:
    """Yield *keys* in slices of a *length*."""
    for start in range(0, len(keys), length):
        yield keys[start : start + length]
