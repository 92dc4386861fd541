"""Read queues by one statement, with a LATERAL join."""

from __future__ import annotations

import functools
import itertools
import typing as t

import sqlalchemy as sa

from signalbus._queues import Queue
from signalbus._queues import QueueColumns
from signalbus._queues import grouped
from signalbus._queues import sorted_as
from signalbus._sql import key_conditions

if t.TYPE_CHECKING:
    from signalbus._declaration import Declaration
    from signalbus._lock import LockingStatements
    from signalbus.typing import PrimaryKey


class LateralQueueReader:
    """Reads queues by one statement, with a LATERAL join."""

    def __init__(self, declaration: Declaration, statements: LockingStatements) -> None:
        self._columns = QueueColumns(declaration, statements)
        self._dialect = statements.dialect

    def read(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey], older: int
    ) -> list[Queue]:
        """Return the queues of the signals with *keys*."""
        if not keys:
            return []
        params = {**key_conditions.among_params(keys), "older": older}
        rows = connection.execute(self._statement, params)
        return sorted_as(keys, [queue for _, queue in grouped(rows)])

    @functools.cached_property
    def _statement(self) -> sa.Select[t.Any]:
        columns = self._columns
        names = [f"part_{n}" for n in range(len(columns.names))]
        parts = [
            part.label(name)
            for part, name in zip(columns.base_parts, names, strict=True)
        ]
        sizes = (
            sa.select(
                sa.func.row_number().over().label("queue"),
                sa.func.count().label("size"),
                *parts,
            )
            .where(key_conditions.among(columns.base_key, self._dialect))
            .group_by(*columns.base_parts)
            .cte("signalbus_sizes")  # no table has that name
        )
        branches = [self._branch(sizes, nulls) for nulls in self._null_patterns()]
        queues = sa.union_all(*branches).subquery("queues")
        return columns.in_order(queues)

    def _null_patterns(self) -> t.Iterator[tuple[bool, ...]]:
        """Yield which parts of an ordering key may be null at the same time.

        An index serves ``= x`` and ``IS NULL``, but not ``IS NOT DISTINCT FROM x``.
        """
        return itertools.product(
            *[
                (False, True) if each else (False,)
                for each in self._columns.are_nullable
            ]
        )

    def _branch(self, sizes: sa.CTE, nulls: tuple[bool, ...]) -> sa.Select[t.Any]:
        """Select the queues whose parts are null, or not, as in a pattern."""
        columns = self._columns
        number, size, *wanted = sizes.c
        same = [
            part.is_(None) if is_null else part == value
            for part, value, is_null in zip(columns.parts, wanted, nulls, strict=True)
        ]
        signals = (
            columns.queue()
            .where(*same)
            .limit(size + sa.bindparam("older", type_=sa.BigInteger))
            .lateral()
        )
        chosen = [
            value.is_(None) if is_null else value.is_not(None)
            for value, is_null in zip(wanted, nulls, strict=True)
        ]
        return (
            sa.select(number, *signals.c)
            .select_from(sizes.join(signals, sa.true()))
            .where(*chosen)
        )
