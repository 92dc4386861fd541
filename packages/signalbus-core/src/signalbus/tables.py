"""Tables that plugins keep beside the signal models, in the same databases.

They are added in :func:`~signalbus.hookspecs.signalbus_tables`. Use only types of
SQLAlchemy's own there, so that migrations need not import the plugin.
"""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
import sqlalchemy.dialects.mysql as sa_mysql

__all__ = ["TIME", "find_table", "has_table", "schema_of"]

#: The type of a column with times of :mod:`signalbus.clock`. MariaDB and MySQL would
#: drop the fractions of a second.
TIME: t.Final = sa.DateTime(timezone=True).with_variant(
    sa_mysql.DATETIME(fsp=6), "mysql", "mariadb"
)


def find_table(metadata: sa.MetaData, name: str) -> sa.Table | None:
    """Return the table called *name* in *metadata*, or ``None`` if it is not there.

    It is looked for in the default schema of *metadata*, where a table without a schema
    of its own goes.
    """
    full_name = f"{metadata.schema}.{name}" if metadata.schema else name
    return metadata.tables.get(full_name)


def has_table(connection: sa.Connection, table: sa.Table) -> bool:
    """Return whether the database of *connection* has *table*.

    It is looked for in its :func:`schema_of`.
    """
    schema = schema_of(connection, table)
    return sa.inspect(connection).has_table(table.name, schema=schema)


def schema_of(connection: sa.Connection, table: sa.Table) -> str | None:
    """Return the schema in which statements on *connection* find *table*.

    That is its own, unless an engine's ``schema_translate_map`` names another, as for
    tenants. Inspectors of SQLAlchemy do not know that map.
    """
    return connection.schema_for_object(table)
