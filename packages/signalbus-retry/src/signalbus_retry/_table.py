"""The table ``signalbus_failure``: a row for each signal that has failed."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
from signalbus.tables import TIME
from signalbus.tables import find_table

NAME: t.Final = "signalbus_failure"


def failure_table(metadata: sa.MetaData) -> sa.Table:
    """Return the table in *metadata*, and add it if it is not there.

    Only types of SQLAlchemy's own are used, so that migrations need not import this
    distribution.
    """
    known = find_table(metadata, NAME)
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
        sa.Column("first_failed_at", TIME, nullable=False),
        sa.Column("last_failed_at", TIME, nullable=False),
        # Null if the signal is parked.
        sa.Column("next_attempt_at", TIME),
        sa.Column("error_type", sa.String(255), nullable=False),
        sa.Column("error_text", sa.Text, nullable=False),
        sa.Index("ix_signalbus_failure_number", "table_name", "number"),
        # Names of tables may differ in case only.
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_bin",
    )
