"""The hooks that this distribution implements."""

from __future__ import annotations

import typing as t

from signalbus import hookimpl

from signalbus_relay._table import relay_table

if t.TYPE_CHECKING:
    import sqlalchemy as sa


@hookimpl
def signalbus_tables(metadata: sa.MetaData) -> None:
    """Add the table of running relays to *metadata*."""
    relay_table(metadata)
