"""What people ask of the entries of a model: which, how many, and why."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
from signalbus import clock

from signalbus_retry.failure import FailureGroup

if t.TYPE_CHECKING:
    from signalbus.typing import PrimaryKey

    from signalbus_retry._choice import Choice
    from signalbus_retry._entries import Entries
    from signalbus_retry.failure import Failure


def find(
    entries: Entries, connection: sa.Connection, choice: Choice
) -> t.Iterator[Failure]:
    """Yield the chosen failures, in the order of their keys."""
    columns = entries.table.c
    chosen = sa.select(entries.table).where(choice.condition(entries))
    ordered = chosen.order_by(columns.number, columns.key)
    rows = connection.execute(ordered).all()
    keys = entries.keys_of(rows)
    for row in rows:
        key = keys[row.id]
        if key is not None:
            yield entries.failure(row, key)


def page(
    entries: Entries, connection: sa.Connection, choice: Choice, after: str, count: int
) -> dict[str, PrimaryKey | None]:
    """Return the keys of the next *count* chosen entries, by their ``id``.

    :param after: the ``id`` of the last entry before them.
    """
    columns = entries.table.c
    chosen = sa.select(columns.id, columns.key).where(choice.condition(entries))
    following = chosen.where(columns.id > after).order_by(columns.id).limit(count)
    return entries.keys_of(connection.execute(following))


def still(
    entries: Entries,
    connection: sa.Connection,
    choice: Choice,
    keys: t.Sequence[PrimaryKey],
) -> dict[PrimaryKey, Failure]:
    """Return those of *keys*, now locked, that are still chosen."""
    by_id = {entries.identify(key): key for key in keys}
    chosen = sa.select(entries.table).where(choice.of_all().condition(entries))
    rows = connection.execute(chosen.where(entries.table.c.id.in_(by_id))).all()
    return {by_id[row.id]: entries.failure(row, by_id[row.id]) for row in rows}


def count(entries: Entries, connection: sa.Connection) -> tuple[int, int]:
    """Return how many signals wait, and how many are parked."""
    column = entries.table.c.next_attempt_at
    waiting = sa.func.count(column)
    counts = sa.select(waiting, sa.func.count() - waiting).where(entries.is_own)
    row = connection.execute(counts).one()
    return row[0], row[1]


def groups(
    entries: Entries, connection: sa.Connection, choice: Choice
) -> t.Iterator[FailureGroup]:
    """Yield the chosen failures in groups, one for each error."""
    columns = entries.table.c
    error = (columns.error_type, columns.error_text)
    counts = sa.select(
        *error,
        sa.func.count(columns.next_attempt_at).label("waiting"),
        sa.func.count().label("total"),
        sa.func.min(columns.first_failed_at).label("first_failed_at"),
        sa.func.max(columns.last_failed_at).label("last_failed_at"),
        sa.func.min(columns.next_attempt_at).label("next_attempt_at"),
    )
    chosen = counts.where(choice.condition(entries)).group_by(*error)
    for row in connection.execute(chosen).all():
        yield FailureGroup(
            model=entries.declaration.model,
            error_type=row.error_type,
            error_text=row.error_text,
            waiting=row.waiting,
            parked=row.total - row.waiting,
            first_failed_at=clock.as_utc(row.first_failed_at),
            last_failed_at=clock.as_utc(row.last_failed_at),
            next_attempt_at=row.next_attempt_at and clock.as_utc(row.next_attempt_at),
        )
