"""Step 5, delete: remove exactly the rows whose messages were confirmed."""

from __future__ import annotations

import json
import typing as t

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

from signalbus import _keys
from signalbus._key_types import key_type

if t.TYPE_CHECKING:
    from signalbus._discover import Declaration
    from signalbus.typing import PrimaryKey

_LARGEST_BIGINT = 2**63 - 1

Columns: t.TypeAlias = t.Sequence[sa.Column[t.Any]]
DeleteRows: t.TypeAlias = "t.Callable[[sa.Connection, t.Sequence[PrimaryKey]], int]"


def needs_session(declaration: Declaration) -> bool:
    """Tell whether more than one plain row has to be deleted with a signal.

    That is so for joined inheritance, version counters, listeners, and relationships
    that the session would cascade to or cut.
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
    """Tell whether deleting the parent does something to this relationship."""
    if relationship.viewonly or relationship.passive_deletes == "all":
        return False
    to_one = relationship.direction is sa_orm.RelationshipDirection.MANYTOONE
    return relationship.cascade.delete if to_one else True


class Deletion:
    """The DELETE of one signal model on one kind of database, built once."""

    def __init__(self, declaration: Declaration, dialect: sa.Dialect) -> None:
        columns = t.cast("Columns", declaration.key_columns)
        self._delete_rows = _deleter(declaration, columns, dialect)
        self._most = _keys.MOST // len(columns)

    def rows(self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]) -> int:
        """Delete the rows with *keys*, and return how many the database deleted."""
        return sum(
            self._delete_rows(connection, some)
            for some in _keys.slices(keys, self._most)
        )

    @staticmethod
    def instances(session: sa_orm.Session, instances: t.Iterable[object]) -> None:
        """Delete *instances* as the application would: with all that hangs on them."""
        for instance in instances:
            session.delete(instance)
        session.flush()


def _deleter(
    declaration: Declaration, columns: Columns, dialect: sa.Dialect
) -> DeleteRows:
    """Return what deletes rows by their keys, and reads no others.

    MySQL locks all rows that a DELETE reads, and may choose to scan the table for a
    list of keys: then flushers wait for each other, and one is the victim of a
    deadlock after its messages went out. There a join drives it from key to key, or,
    for keys that are no numbers, each row gets a statement of its own.
    """
    if dialect.name not in _keys.MYSQL:
        return _delete_listed(columns, dialect)
    (column, *others) = columns
    is_number = not others and isinstance(column.type, sa.Integer)
    if is_number and declaration.is_keyed and _is_plain(column):
        return _delete_joined(column, dialect)
    return _delete_each(columns)


def _delete_listed(columns: Columns, dialect: sa.Dialect) -> DeleteRows:
    statement = sa.delete(columns[0].table).where(_keys.among(columns, dialect.name))

    def delete_rows(connection: sa.Connection, keys: t.Sequence[PrimaryKey]) -> int:
        return connection.execute(statement, _keys.among_params(keys)).rowcount

    return delete_rows


def _is_plain(column: sa.Column[t.Any]) -> bool:
    """Tell whether a column's full name means itself in the text of a statement."""
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
            # In text no schema is translated.
            return delete_each(connection, keys)
        numbers = [key for (key,) in keys]
        if not _are_bigints(numbers):
            return delete_each(connection, keys)
        return connection.execute(statement, {"keys": json.dumps(numbers)}).rowcount

    return delete_rows


def _are_bigints(values: t.Sequence[t.Any]) -> bool:
    """Tell whether none of *values* becomes NULL, or another, as a BIGINT.

    The column may hold more than its model says: texts, or unsigned numbers.
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
