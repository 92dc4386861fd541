"""Read which signals of a model are pending, without locking them."""

from __future__ import annotations

import typing as t

from signalbus._sql import key_conditions
from signalbus._sql.key_list import KeyList

if t.TYPE_CHECKING:
    import sqlalchemy as sa

    from signalbus._table import SignalTable
    from signalbus.typing import PrimaryKey

#: How many keys are fetched at a time. A driver's copies of all of them at once would
#: take many times the memory of the keys.
FETCH_SIZE = 10_000

#: How many of them are looked up, where it is not certain that they find their rows.
SAMPLE = 16


def pending_keys(
    order_by: t.Sequence[t.Any], table: SignalTable, connection: sa.Connection
) -> t.Sequence[PrimaryKey]:
    """Return the keys of the signals that are pending now, in an order."""
    select = table.statements.pending_keys_by(order_by)
    keys = _fetch(connection, select)
    first = keys[:SAMPLE]
    if table.key_proof.was_lost(
        first,
        lambda some: table.statements.present(connection, some),
        lambda: map(tuple, connection.execute(select.limit(len(first)))),
    ):
        raise table.unusable_keys()
    return keys


def present_keys(
    keys: t.Sequence[PrimaryKey], table: SignalTable, connection: sa.Connection
) -> t.Sequence[PrimaryKey]:
    """Return those of *keys* that are still pending."""
    present = KeyList()
    for some in key_conditions.slices(keys, FETCH_SIZE):
        present.extend(table.statements.present(connection, some))
    return present


def _fetch(connection: sa.Connection, select: sa.Select[t.Any]) -> KeyList:
    """Read keys: few at once, many through a server-side cursor."""
    few = connection.execute(select.limit(FETCH_SIZE)).all()
    if len(few) < FETCH_SIZE:
        return KeyList(few)
    keys = KeyList()
    options = {"yield_per": FETCH_SIZE}
    for some in connection.execute(select, execution_options=options).partitions():
        keys.extend(some)
    return keys
