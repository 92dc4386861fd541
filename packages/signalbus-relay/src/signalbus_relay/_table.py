"""The table ``signalbus_relay``: a row for each relay that is running."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
from signalbus.tables import TIME
from signalbus.tables import find_table

NAME: t.Final = "signalbus_relay"


def relay_table(metadata: sa.MetaData) -> sa.Table:
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
        # Random: each start of a relay is a relay of its own.
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("host", sa.String(255), nullable=False),
        # The number of the process in its namespace.
        sa.Column("process", sa.BigInteger, nullable=False),
        # The boot of the machine, and the namespace of processes: a container has its
        # own. Null where the system has none.
        sa.Column("namespace", sa.String(255)),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("heartbeat_at", TIME, nullable=False),
        # What it has sent, by model, as a JSON object.
        sa.Column("models", sa.Text, nullable=False),
        mysql_charset="utf8mb4",
        mariadb_charset="utf8mb4",
    )
