"""The table ``signalbus_relay``: a row for each relay that is running."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
import sqlalchemy.dialects.mysql as sa_mysql

NAME: t.Final = "signalbus_relay"

#: MariaDB and MySQL drop the fractions of a second unless told otherwise.
_TIME: t.Final = sa.DateTime(timezone=True).with_variant(
    sa_mysql.DATETIME(fsp=6), "mysql", "mariadb"
)


def relay_table(metadata: sa.MetaData) -> sa.Table:
    """Return the table in *metadata*, and add it if it is not there.

    Only types of SQLAlchemy's own are used, so that migrations need not import this
    distribution.
    """
    known = find_table(metadata)
    if known is not None:
        return known
    return sa.Table(
        NAME,
        metadata,
        # Random: each start of a relay is a relay of its own.
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("host", sa.String(255), nullable=False),
        # The number of the process on its host.
        sa.Column("process", sa.BigInteger, nullable=False),
        sa.Column("started_at", _TIME, nullable=False),
        sa.Column("heartbeat_at", _TIME, nullable=False),
        # What it has sent, by model, as a JSON object.
        sa.Column("models", sa.Text, nullable=False),
        mysql_charset="utf8mb4",
        mariadb_charset="utf8mb4",
    )


def find_table(metadata: sa.MetaData) -> sa.Table | None:
    """Return the table in *metadata*, or ``None`` if it is not there."""
    name = f"{metadata.schema}.{NAME}" if metadata.schema else NAME
    return metadata.tables.get(name)
