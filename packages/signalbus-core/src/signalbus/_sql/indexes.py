"""Which index finds the first signals of an ordering key, and whether it is there."""

from __future__ import annotations

import dataclasses
import typing as t

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
import sqlalchemy.orm.exc as sa_orm_exc
import sqlalchemy.sql.operators as sa_operators

from signalbus._sql import key_conditions
from signalbus._sql.sort_order import attached
from signalbus.tables import schema_of

if t.TYPE_CHECKING:
    from collections import abc

    from signalbus._declaration import Declaration

Column: t.TypeAlias = "sa.Column[t.Any]"

#: The columns of an index, by name; ``None`` stands for an expression.
Names: t.TypeAlias = "abc.Sequence[str | None]"

#: How the options end of an index that has not all rows (``WHERE``, or invalid), or
#: not in an order (``USING hash``, ``FULLTEXT``).
SPECIAL = ("_where", "_invalid", "_using", "_prefix")

#: How long a name of ours may be: databases cut off, or refuse, what is longer.
MAX_NAME = 60


@dataclasses.dataclass(frozen=True)
class NeededIndex:
    """An index that has all signals of an ordering key together, in their order."""

    table: sa.Table

    #: The columns of the ordering key, which come first.
    key: tuple[Column, ...]

    #: The columns of the order; empty if it has more than plain columns.
    order: tuple[Column, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """All columns, in their order."""
        return (*self.key, *self.order)

    def is_served_by(self, names: Names) -> bool:
        """Return whether an index with columns of these *names* does as well.

        The columns of the key may come in any order.
        """
        count = len(self.key)
        order = [column.name for column in self.order]
        return (
            set(names[:count]) == {column.name for column in self.key}
            and list(names[count : count + len(order)]) == order
        )

    def declared(self) -> sa.Index | None:
        """Return an index that the model declares and that serves, if there is one."""
        for index in self.table.indexes:
            plain = map(_without_direction, index.expressions)
            names = [getattr(each, "name", None) for each in plain]
            if self.is_served_by(names) and _is_ordinary(index.dialect_kwargs):
                return index
        return None

    def source(self, connection: sa.Connection) -> str:
        """Return what declares it in Python, under a name that is not in use."""
        names = ", ".join(f'"{column.key}"' for column in self.columns)
        return f'sa.Index("{self._free_name(connection)}", {names})'

    def _free_name(self, connection: sa.Connection) -> str:
        """Return a name; that of the key alone is often that of another index."""
        schema = schema_of(connection, self.table)
        indexes = sa.inspect(connection).get_indexes(self.table.name, schema)
        taken = {each["name"] for each in indexes}
        taken |= {each.name for each in self.table.indexes}
        name = _name(self.table, self.key)
        return _name(self.table, self.columns) if name in taken else name


def needed_index(declaration: Declaration) -> NeededIndex | None:
    """Return the index that the ordering key of a model needs, if it has one."""
    if not declaration.ordering_key:
        return None
    mapper = declaration.mapper
    parts = [mapper.column_attrs[name].columns[0] for name in declaration.ordering_key]
    table = t.cast("sa.Table", parts[0].table)
    order = _order(declaration)
    columns = [_column_in(table, mapper, each) for each in (*parts, *order)]
    found = [column for column in columns if column is not None]
    # An index has columns of one table, and expressions that are those of the query.
    is_plain = len(found) == len(columns)
    key = [column for column in columns[: len(parts)] if column is not None]
    rest = found[len(parts) :] if is_plain else []
    constant = {column.name for column in key}
    return NeededIndex(
        table=table,
        key=tuple(key),
        order=tuple(each for each in rest if each.name not in constant),
    )


def is_indexed(connection: sa.Connection, needed: NeededIndex) -> bool:
    """Return whether the database has an index that does as well."""
    return any(map(needed.is_served_by, _indexes(connection, needed.table)))


def _indexes(connection: sa.Connection, table: sa.Table) -> list[Names]:
    """Return the columns of all that can be used as an index of *table*."""
    inspector = sa.inspect(connection)
    where = (table.name, schema_of(connection, table))
    primary = inspector.get_pk_constraint(*where)["constrained_columns"]
    found: list[Names] = [
        primary,
        *(each["column_names"] for each in inspector.get_unique_constraints(*where)),
        *(
            each["column_names"]
            for each in inspector.get_indexes(*where)
            if _is_ordinary(each.get("dialect_options", {}))
        ),
    ]
    if not _is_innodb(inspector, *where):
        return found
    return [
        [*names, *(each for each in primary if each not in names)] for names in found
    ]


def _is_innodb(inspector: sa.Inspector, name: str, schema: str | None) -> bool:
    """Return whether the database adds the primary key to every index."""
    dialect = inspector.dialect.name
    if dialect not in key_conditions.MYSQL:
        return False
    options = inspector.get_table_options(name, schema)
    return str(options.get(f"{dialect}_engine")).lower() == "innodb"


def _is_ordinary(options: t.Mapping[str, t.Any]) -> bool:
    """Return whether an index with these options has all rows, in an order."""
    return not any(
        name.endswith(SPECIAL) and str(value).lower() != "btree"
        for name, value in options.items()
    )


def _order(declaration: Declaration) -> list[t.Any]:
    """Return what the signals of a key are sorted by, without directions."""
    order_by = declaration.order_by or declaration.key_columns
    return [_without_direction(attached(each, declaration.table)) for each in order_by]


def _without_direction(expression: t.Any) -> t.Any:
    """Return a column instead of its ``asc()`` or ``desc()``: an index serves both."""
    while isinstance(expression, sa.UnaryExpression) and expression.modifier in (
        sa_operators.asc_op,
        sa_operators.desc_op,
    ):
        expression = expression.element
    return expression


def _column_in(
    table: sa.Table, mapper: sa_orm.Mapper[t.Any], expression: t.Any
) -> Column | None:
    """Return the column of *table* that an expression is, if it is one.

    Joined tables have columns in common.
    """
    if not isinstance(expression, sa.Column):
        return None
    try:
        same = mapper.get_property_by_column(expression).columns
    except sa_orm_exc.UnmappedColumnError:
        same = [expression]
    for column in same:
        found = table.corresponding_column(column)
        if isinstance(found, sa.Column):
            return found
    return None


def _name(table: sa.Table, columns: t.Iterable[Column]) -> str:
    return "_".join(["ix", table.name, *(each.name for each in columns)])[:MAX_NAME]
