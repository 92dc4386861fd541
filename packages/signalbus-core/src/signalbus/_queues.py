"""Read the signals of each ordering key, in their order, without locking them.

The oldest signal of a key is the *head* of its queue. No value of a key leaves the
database: it alone knows which values are equal.
"""

from __future__ import annotations

import functools
import itertools
import typing as t

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

from signalbus._sql import key_conditions
from signalbus._sql.key_types import key_type
from signalbus._sql.sort_order import SortOrder

if t.TYPE_CHECKING:
    from signalbus._declaration import Declaration
    from signalbus._lock import LockingStatements
    from signalbus.typing import PrimaryKey

#: The primary keys of signals that have the same ordering key, in their order. The
#: first one is the oldest of all that are pending.
Queue: t.TypeAlias = "list[PrimaryKey]"

#: How many queues one statement reads where each takes a SELECT of its own.
BRANCHES = (64, 8, 1)


class QueueReader(t.Protocol):
    """Reads queues on one kind of database."""

    def read(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey], older: int
    ) -> list[Queue]:
        """Return the queues of the signals with *keys*, from their heads on.

        Each has as many signals as there are *keys* in it, and *older* ones more, as
        far as there are any. They come in the order of *keys*.
        """


def queue_reader(
    declaration: Declaration, statements: LockingStatements
) -> QueueReader | None:
    """Return what reads the queues of a model, if it has an ordering key."""
    if not declaration.ordering_key:
        return None
    if statements.dialect in key_conditions.WITH_ARRAYS:
        return LateralQueueReader(declaration, statements)
    return UnionQueueReader(declaration, statements)


class _Columns:
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
        self._order = SortOrder(statements.attached(declaration.order_by))
        self._model = declaration.model
        self._statements = statements

    def queue(self, *values: sa.ColumnElement[t.Any]) -> sa.Select[t.Any]:
        """Select *values*, the order, and the key of all signals, in their order."""
        key = [getattr(self._model, name) for name in self.key_names]
        values += tuple(self._order.values)
        labels = [value.label(f"value_{n}") for n, value in enumerate([*values, *key])]
        order = self._order.of(self._order.values)
        return self._statements.own(sa.select(*labels)).order_by(*order, *key)

    def in_order(self, queues: t.Any) -> sa.Select[t.Any]:
        """Select the number of the queue and the key, sorted, of such selects."""
        number, *rest = queues.c
        values = rest[: len(rest) - len(self.key_names)]
        key = rest[len(values) :]
        return sa.select(number, *key).order_by(number, *self._order.of(values), *key)


class LateralQueueReader:
    """Reads queues by one statement, with a LATERAL join."""

    def __init__(self, declaration: Declaration, statements: LockingStatements) -> None:
        self._columns = _Columns(declaration, statements)
        self._dialect = statements.dialect

    def read(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey], older: int
    ) -> list[Queue]:
        """Return the queues of the signals with *keys*."""
        if not keys:
            return []
        params = {**key_conditions.among_params(keys), "older": older}
        rows = connection.execute(self._statement, params)
        return _in_order(keys, [queue for _, queue in _grouped(rows)])

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
            .cte("sizes")
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


class UnionQueueReader:
    """Reads queues by a UNION of one SELECT each, where there is no LATERAL join."""

    def __init__(self, declaration: Declaration, statements: LockingStatements) -> None:
        self._columns = _Columns(declaration, statements)
        self._dialect = statements.dialect
        self._max_keys = statements.max_keys
        self._statements = {size: self._statement(size) for size in BRANCHES}

    def read(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey], older: int
    ) -> list[Queue]:
        """Return the queues of the signals with *keys*."""
        if not keys:
            return []
        sizes = self._sizes(connection, keys)
        queues = self._read(connection, sizes, older)
        # Some values are equal to the database alone: their queues are one.
        same: dict[PrimaryKey, list[PrimaryKey]] = {}
        for member, queue in queues.items():
            same.setdefault(queue[0], []).append(member)
        joined = {
            members[0]: sum(sizes[member] for member in members)
            for members in same.values()
            if len(members) > 1
        }
        queues.update(self._read(connection, joined, older))
        return _in_order(keys, [queues[members[0]] for members in same.values()])

    def _read(
        self, connection: sa.Connection, sizes: t.Mapping[PrimaryKey, int], older: int
    ) -> dict[PrimaryKey, Queue]:
        """Return the queues of some signals, by these, up to their *sizes*."""
        queues: dict[PrimaryKey, Queue] = {}
        for some in _portions(list(sizes.items())):
            params: dict[str, t.Any] = {}
            for n, (key, size) in enumerate(some):
                params[f"size_{n}"] = size + older
                params.update(_key_params(n, key))
            found = connection.execute(self._statements[len(some)], params)
            for n, queue in _grouped(found):
                queues[some[n][0]] = queue
        return queues

    def _sizes(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> dict[PrimaryKey, int]:
        """Return a signal of each queue, and how many of *keys* are in it."""
        if len(keys) == 1:
            return {keys[0]: 1}
        members: dict[object, PrimaryKey] = {}
        sizes: dict[PrimaryKey, int] = {}
        for row in self._parts(connection, keys):
            key, parts = row[: -len(self._columns.names)], row[len(keys[0]) :]
            first = members.setdefault(_hashable(tuple(parts)), tuple(key))
            sizes[first] = sizes.get(first, 0) + 1
        return sizes

    def _parts(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> t.Iterator[t.Any]:
        """Yield the primary keys and the ordering keys of some signals."""
        if self._max_keys > 1:
            for some in key_conditions.slices(keys, self._max_keys):
                params = key_conditions.among_params(some)
                yield from connection.execute(self._parts_among, params)
            return
        for some in _portions(keys):
            params = {}
            for n, key in enumerate(some):
                params.update(_key_params(n, key))
            yield from connection.execute(self._parts_of[len(some)], params)

    @functools.cached_property
    def _parts_among(self) -> sa.Select[t.Any]:
        columns = self._columns
        return sa.select(*columns.base_key, *columns.base_parts).where(
            key_conditions.among(columns.base_key, self._dialect)
        )

    @functools.cached_property
    def _parts_of(self) -> dict[int, sa.Select[t.Any]]:
        columns = self._columns
        select = sa.select(*columns.base_key, *columns.base_parts)
        return {
            size: select.where(sa.or_(*[self._is(n) for n in range(size)]))
            for size in BRANCHES
        }

    def _statement(self, size: int) -> sa.Select[t.Any]:
        branches = [sa.select(self._branch(n)) for n in range(size)]
        return self._columns.in_order(sa.union_all(*branches).subquery("queues"))

    def _branch(self, n: int) -> sa.Subquery:
        """Select the queue of one signal."""
        columns = self._columns
        same = [
            part.is_not_distinct_from(value) if is_nullable else part == value
            for part, value, is_nullable in zip(
                columns.parts,
                [self._value_of(n, part) for part in columns.base_parts],
                columns.are_nullable,
                strict=True,
            )
        ]
        size = sa.bindparam(f"size_{n}", type_=sa.BigInteger)
        return (
            columns.queue(sa.literal_column(str(n))).where(*same).limit(size).subquery()
        )

    def _value_of(self, n: int, part: t.Any) -> sa.ScalarSelect[t.Any]:
        return sa.select(part).where(self._is(n)).scalar_subquery()

    def _is(self, n: int) -> sa.ColumnElement[bool]:
        """Return the condition that a signal is one of those in the parameters."""
        columns = self._columns
        return sa.and_(
            *[
                column == sa.bindparam(f"key_{n}_{position}", type_=type_)
                for position, (column, type_) in enumerate(
                    zip(columns.base_key, columns.key_types, strict=True)
                )
            ]
        )


def _key_params(n: int, key: PrimaryKey) -> dict[str, t.Any]:
    return {f"key_{n}_{position}": value for position, value in enumerate(key)}


def _portions(items: t.Sequence[t.Any]) -> t.Iterator[t.Sequence[t.Any]]:
    """Yield *items* in portions for which there is a statement."""
    start = 0
    while start < len(items):
        size = next(size for size in BRANCHES if size <= len(items) - start)
        yield items[start : start + size]
        start += size


def _hashable(parts: tuple[t.Any, ...]) -> object:
    try:
        hash(parts)
    except TypeError:
        return repr(parts)
    return parts


def _grouped(rows: t.Iterable[t.Any]) -> t.Iterator[tuple[int, Queue]]:
    """Yield queues, and their numbers, of rows that have the number and the key."""
    for number, queue in itertools.groupby(rows, key=lambda row: row[0]):
        yield number, [tuple(row[1:]) for row in queue]


def _in_order(keys: t.Sequence[PrimaryKey], queues: t.Iterable[Queue]) -> list[Queue]:
    """Sort *queues* by which of their signals comes first among *keys*."""
    ranks = {tuple(key): rank for rank, key in enumerate(keys)}
    return sorted(queues, key=lambda queue: min(ranks.get(key, -1) for key in queue))
