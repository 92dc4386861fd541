"""Queries for the entries of a model: find, count and group them."""

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


#: How much of an error is read where only so many entries are, in characters.
_MAX_TEXT: t.Final = 200

#: How many different errors are read there: those of most signals.
_MAX_ERRORS: t.Final = 1000


def find(
    entries: Entries,
    connection: sa.Connection,
    choice: Choice,
    offset: int = 0,
    limit: int | None = None,
) -> t.Iterator[Failure]:
    """Yield the chosen failures, in the order of their keys.

    :param limit: how many to read, after the first *offset*; all, if not given.
    """
    columns = entries.table.c
    chosen = sa.select(entries.table).where(choice.condition(entries))
    ordered = chosen.order_by(columns.number, columns.key)
    if limit is not None:
        ordered = ordered.limit(limit).offset(offset)
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


def count_some(
    entries: Entries, connection: sa.Connection, choice: Choice, limit: int
) -> tuple[int, int]:
    """Return how many of the chosen signals wait, and how many there are.

    No more than *limit* are read.
    """
    chosen = sa.select(entries.table.c.next_attempt_at).where(choice.condition(entries))
    some = chosen.limit(limit).subquery()
    counts = sa.select(sa.func.count(some.c.next_attempt_at), sa.func.count())
    row = connection.execute(counts.select_from(some)).one()
    return row[0], row[1]


def groups(
    entries: Entries,
    connection: sa.Connection,
    choice: Choice,
    limit: int | None = None,
) -> t.Iterator[FailureGroup]:
    """Yield the chosen failures in groups, one for each error.

    :param limit: how many to read, with the beginning of each text, of which those that
        are most frequent are kept; all, if not given.
    """
    columns: t.Any = entries.table.c
    condition = choice.condition(entries)
    if limit is not None:
        columns = _some(entries.table, condition, limit).c
        condition = sa.true()
    error = (columns.error_type, columns.error_text)
    counts = sa.select(
        *error,
        sa.func.count(columns.next_attempt_at).label("waiting"),
        sa.func.count().label("total"),
        sa.func.min(columns.first_failed_at).label("first_failed_at"),
        sa.func.max(columns.last_failed_at).label("last_failed_at"),
        sa.func.min(columns.next_attempt_at).label("next_attempt_at"),
    )
    chosen = counts.where(condition).group_by(*error)
    if limit is not None:
        chosen = chosen.order_by(sa.func.count().desc()).limit(_MAX_ERRORS)
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


def _some(
    table: sa.Table, condition: sa.ColumnElement[bool], limit: int
) -> sa.Subquery:
    """Return some entries, with the beginnings of their texts."""
    columns = table.c
    text = sa.func.substr(columns.error_text, 1, _MAX_TEXT).label("error_text")
    times = (columns.first_failed_at, columns.last_failed_at, columns.next_attempt_at)
    chosen = sa.select(columns.error_type, text, *times).where(condition)
    return chosen.limit(limit).subquery()
