"""Keep a journal: a table in each database, and a line in it for each signal sent."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from signalbus.typing import Bus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel


@hookimpl
def signalbus_tables(metadata: sa.MetaData) -> None:
    """Add the journal, unless the application has declared it itself."""
    if "journal" not in metadata.tables:
        sa.Table(
            "journal",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("line", sa.String(200), nullable=False),
        )


@hookimpl
def signalbus_burst_settled(
    bus: Bus,
    model: SignalModel,
    connection: sa.Connection,
    sent: t.Sequence[PrimaryKey],
) -> None:
    """Write what was sent into the journal of the model's database."""
    declaration = bus.declaration(model)
    journal = declaration.table.metadata.tables["journal"]
    for key in sent:
        values = {"line": declaration.describe(key)}
        connection.execute(sa.insert(journal).values(values))
