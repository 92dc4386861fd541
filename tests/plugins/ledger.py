"""Keep a ledger: a row for each signal that was sent, or that failed, and how often."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

metadata = sa.MetaData()

ledger = sa.Table(
    "ledger",
    metadata,
    sa.Column("model", sa.String(100), primary_key=True),
    sa.Column("key", sa.String(100), primary_key=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    # Null once the signal was sent.
    sa.Column("error", sa.Text),
)


@hookimpl
def signalbus_burst_settled(
    model: SignalModel,
    connection: sa.Connection,
    sent: t.Sequence[PrimaryKey],
    failed: t.Mapping[PrimaryKey, Exception],
) -> None:
    """Enter what became of a burst, in the transaction that deletes its rows."""
    errors: dict[PrimaryKey, str | None] = dict.fromkeys(sent)
    errors.update({key: str(error) for key, error in failed.items()})
    for key, error in errors.items():
        _enter(connection, model.__name__, ", ".join(map(str, key)), error)


def _enter(connection: sa.Connection, model: str, key: str, error: str | None) -> None:
    """Count an attempt to send a signal."""
    again = sa.update(ledger).where(ledger.c.model == model, ledger.c.key == key)
    attempts = ledger.c.attempts + 1
    if not connection.execute(again.values(attempts=attempts, error=error)).rowcount:
        first = {"model": model, "key": key, "attempts": 1, "error": error}
        connection.execute(sa.insert(ledger).values(first))
