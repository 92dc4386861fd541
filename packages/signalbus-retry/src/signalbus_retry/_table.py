"""The table ``signalbus_failure``: a row for each signal that has failed."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
import sqlalchemy.dialects.mysql as sa_mysql

NAME: t.Final = "signalbus_failure"

#: MariaDB and MySQL drop the fractions of a second unless told otherwise.
_TIME: t.Final = sa.DateTime(timezone=True).with_variant(
    sa_mysql.DATETIME(fsp=6), "mysql", "mariadb"
)


def failure_table(metadata: sa.MetaData) -> sa.Table:
    """Return the table in *metadata*, and add it if it is not there.

    Only types of SQLAlchemy's own are used, so that migrations need not import this
    distribution.
    """
    known = metadata.tables.get(_full_name(metadata))
    if known is not None:
        return known
    return sa.Table(
        NAME,
        metadata,
        # The digest of the table's name and the key: see _keys.identify().
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("table_name", sa.String(255), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        # The primary key as a JSON array.
        sa.Column("key", sa.Text, nullable=False),
        # The key itself, if it is one integer: a flush passes ranges of keys.
        sa.Column("number", sa.BigInteger),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("first_failed_at", _TIME, nullable=False),
        sa.Column("last_failed_at", _TIME, nullable=False),
        # Null if the signal is parked.
        sa.Column("next_attempt_at", _TIME),
        sa.Column("error_type", sa.String(255), nullable=False),
        sa.Column("error_text", sa.Text, nullable=False),
        sa.Index("ix_signalbus_failure_number", "table_name", "number"),
        # Names of tables may differ in case only.
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_bin",
    )


def find_table(metadata: sa.MetaData) -> sa.Table | None:
    """Return the table in *metadata*, or ``None`` if it is not there."""
    return metadata.tables.get(_full_name(metadata))


def _full_name(metadata: sa.MetaData) -> str:
    return f"{metadata.schema}.{NAME}" if metadata.schema else NAME
