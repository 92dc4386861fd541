"""Tables that plugins keep beside the signal models, in the same databases.

They are added in :func:`~signalbus.hookspecs.signalbus_tables`. Use only types of
SQLAlchemy's own there, so that migrations need not import the plugin.
"""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
import sqlalchemy.dialects.mysql as sa_mysql

__all__ = ["TIME", "find_table"]

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
