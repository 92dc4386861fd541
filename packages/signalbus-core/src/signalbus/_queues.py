"""Read the signals of each ordering key, in their order, without locking them.

The oldest signal of a key is the *head* of its queue. The database alone knows which
values of a key are equal.
"""

from __future__ import annotations

import itertools
import typing as t

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

from signalbus._sql.enums import is_ranked
from signalbus._sql.enums import rank
from signalbus._sql.key_conditions import MYSQL
from signalbus._sql.key_types import key_type
from signalbus._sql.sort_order import SortOrder

if t.TYPE_CHECKING:
    from signalbus._declaration import Declaration
    from signalbus._lock import LockingStatements
    from signalbus.typing import PrimaryKey

#: The primary keys of signals that have the same ordering key, in their order. The
#: first one is the oldest of all that are pending.
Queue: t.TypeAlias = "list[PrimaryKey]"


class QueueReader(t.Protocol):
    """Reads queues on one kind of database."""

    def read(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey], older: int
    ) -> list[Queue]:
        """Return the queues of the signals with *keys*, from their heads on.

        Each has as many signals as there are *keys* in it, and *older* ones more, as
        far as there are any. They come in the order of *keys*.
        """


class QueueColumns:
    """What the statements of both readers are made of."""

    def __init__(self, declaration: Declaration, statements: LockingStatements) -> None:
        mapper = declaration.mapper
        #: The model once more, for the signals whose queues are read.
        self.base = sa_orm.aliased(declaration.model)
        self.names = declaration.ordering_key
        columns = [mapper.column_attrs[name].columns[0] for name in self.names]
        self.are_nullable = [bool(getattr(each, "nullable", True)) for each in columns]
        self.key_names = [
            mapper.get_property_by_column(column).key for column in mapper.primary_key
        ]
        self.key_types = [key_type(column.type) for column in mapper.primary_key]
        self.parts = [getattr(declaration.model, name) for name in self.names]
        self.base_parts = [getattr(self.base, name) for name in self.names]
        self.base_key = [getattr(self.base, name) for name in self.key_names]
        order_by = statements.attached(declaration.order_by)
        if statements.dialect in MYSQL and any(map(is_ranked, mapper.primary_key)):
            order_by = [*order_by, *mapper.primary_key]
        self._order = SortOrder(order_by)
        self._order_values = self._order.values
        if statements.dialect in MYSQL:
            self._order_values = [rank(value) for value in self._order.values]
        self._model = declaration.model
        self._statements = statements

    def queue(self, *values: sa.ColumnElement[t.Any]) -> sa.Select[t.Any]:
        """Select *values*, the order, and the key of all signals, in their order."""
        key = [getattr(self._model, name) for name in self.key_names]
        values += tuple(self._order_values)
        labels = [value.label(f"value_{n}") for n, value in enumerate([*values, *key])]
        order = self._order.of(self._order.values)
        return self._statements.own(sa.select(*labels)).order_by(*order, *key)

    def in_order(self, queues: t.Any) -> sa.Select[t.Any]:
        """Select the number of the queue and the key, sorted, of such selects."""
        number, *rest = queues.c
        values = rest[: len(rest) - len(self.key_names)]
        key = rest[len(values) :]
        return sa.select(number, *key).order_by(number, *self._order.of(values), *key)


def grouped(rows: t.Iterable[t.Any]) -> t.Iterator[tuple[int, Queue]]:
    """Yield queues, and their numbers, of rows that have the number and the key."""
    for number, queue in itertools.groupby(rows, key=lambda row: row[0]):
        yield number, [tuple(row[1:]) for row in queue]


def sorted_as(keys: t.Sequence[PrimaryKey], queues: t.Iterable[Queue]) -> list[Queue]:
    """Sort *queues* by which of their signals comes first among *keys*."""
    ranks = {tuple(key): rank for rank, key in enumerate(keys)}
    return sorted(queues, key=lambda queue: min(ranks.get(key, -1) for key in queue))
