"""The DELETE of a signal model, by keys; and which models need more than that."""

from __future__ import annotations

import json
import typing as t

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

from signalbus._sql import key_conditions
from signalbus._sql.key_types import key_type

if t.TYPE_CHECKING:
    from signalbus._declaration import Declaration
    from signalbus.typing import PrimaryKey

_LARGEST_BIGINT = 2**63 - 1

Columns: t.TypeAlias = t.Sequence[sa.Column[t.Any]]
DeleteRows: t.TypeAlias = "t.Callable[[sa.Connection, t.Sequence[PrimaryKey]], int]"


def needs_session(declaration: Declaration) -> bool:
    """Return whether deleting a signal takes more than deleting one row.

    True for joined inheritance, version counters, listeners, and relationships to which
    the session would cascade, or whose foreign keys it would set to NULL.
    """
    mapper = declaration.mapper
    return (
        len(mapper.tables) > 1
        or mapper.version_id_col is not None
        or bool(mapper.dispatch.before_delete)
        or bool(mapper.dispatch.after_delete)
        or any(map(_is_touched, mapper.relationships))
    )


def _is_touched(relationship: sa_orm.RelationshipProperty[t.Any]) -> bool:
    """Return whether the session changes this relationship on deletion."""
    if relationship.viewonly or relationship.passive_deletes == "all":
        return False
    to_one = relationship.direction is sa_orm.RelationshipDirection.MANYTOONE
    return relationship.cascade.delete if to_one else True


class DeleteStatement:
    """The DELETE of one signal model on one kind of database, built once."""

    def __init__(self, declaration: Declaration, dialect: sa.Dialect) -> None:
        columns = t.cast("Columns", declaration.key_columns)
        self._delete_rows = _deleter(declaration, columns, dialect)
        self._max_keys = key_conditions.MAX_VALUES // len(columns)

    def rows(self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]) -> int:
        """Delete the rows with *keys*, and return how many the database deleted."""
        return sum(
            self._delete_rows(connection, some)
            for some in key_conditions.slices(keys, self._max_keys)
        )


def _deleter(
    declaration: Declaration, columns: Columns, dialect: sa.Dialect
) -> DeleteRows:
    """Return a function that deletes rows by their keys, and reads no others.

    MySQL locks all rows that a DELETE reads, and may choose to scan the table for a
    list of keys: then flushers wait for each other, and a deadlock may roll one back
    after its messages were sent. There, a join makes it go from key to key; for keys
    that are not integers, each row gets a statement of its own.
    """
    if dialect.name not in key_conditions.MYSQL:
        return _delete_listed(columns, dialect)
    (column, *others) = columns
    is_number = not others and isinstance(column.type, sa.Integer)
    if is_number and declaration.is_keyed and _is_plain(column):
        return _delete_joined(column, dialect)
    return _delete_each(columns)


def _delete_listed(columns: Columns, dialect: sa.Dialect) -> DeleteRows:
    statement = sa.delete(columns[0].table).where(
        key_conditions.among(columns, dialect.name)
    )

    def delete_rows(connection: sa.Connection, keys: t.Sequence[PrimaryKey]) -> int:
        return connection.execute(statement, key_conditions.among_params(keys)).rowcount

    return delete_rows


def _is_plain(column: sa.Column[t.Any]) -> bool:
    """Return whether a column's full name needs no escaping in the text of SQL."""
    return not {"%", ":", "\\"}.intersection(f"{column.table}.{column.name}")


def _delete_joined(column: sa.Column[t.Any], dialect: sa.Dialect) -> DeleteRows:
    quote = dialect.identifier_preparer
    table, name = quote.format_table(column.table), quote.format_column(column)
    statement = sa.text(
        f"DELETE {table} FROM JSON_TABLE(:keys, '$[*]' COLUMNS (signalbus_key"
        " BIGINT PATH '$')) AS signalbus_keys"
        f" STRAIGHT_JOIN {table} FORCE INDEX (PRIMARY)"
        f" ON {table}.{name} = signalbus_keys.signalbus_key"
    )
    delete_each = _delete_each([column])

    def delete_rows(connection: sa.Connection, keys: t.Sequence[PrimaryKey]) -> int:
        if connection.get_execution_options().get("schema_translate_map"):
            # SQLAlchemy translates no schema in text.
            return delete_each(connection, keys)
        numbers = [key for (key,) in keys]
        if not _are_bigints(numbers):
            return delete_each(connection, keys)
        return connection.execute(statement, {"keys": json.dumps(numbers)}).rowcount

    return delete_rows


def _are_bigints(values: t.Sequence[t.Any]) -> bool:
    """Return whether all *values* keep their value as a BIGINT.

    The column may hold more than its model declares: texts, or unsigned numbers.
    """
    return set(map(type, values)) == {int} and max(values) <= _LARGEST_BIGINT


def _delete_each(columns: Columns) -> DeleteRows:
    names = [f"key_{number}" for number in range(len(columns))]
    statement = sa.delete(columns[0].table).where(
        *[
            column == sa.bindparam(name, type_=key_type(column.type))
            for column, name in zip(columns, names, strict=True)
        ]
    )

    def delete_rows(connection: sa.Connection, keys: t.Sequence[PrimaryKey]) -> int:
        params = [dict(zip(names, key, strict=True)) for key in keys]
        return connection.execute(statement, params).rowcount

    return delete_rows
