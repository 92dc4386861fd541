"""Read queues by a UNION of one SELECT each, where there is no LATERAL join."""

from __future__ import annotations

import functools
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

#: How many queues one statement reads, each by a SELECT of its own.
BRANCHES = (64, 8, 1)


class UnionQueueReader:
    """Reads queues by a UNION of one SELECT each, where there is no LATERAL join."""

    def __init__(self, declaration: Declaration, statements: LockingStatements) -> None:
        self._columns = QueueColumns(declaration, statements)
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
        return sorted_as(keys, [queues[members[0]] for members in same.values()])

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
            for n, queue in grouped(found):
                queues[some[n][0]] = queue
        return queues

    def _sizes(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> dict[PrimaryKey, int]:
        """Return a signal of each queue, and how many of *keys* are in it."""
        if len(keys) == 1 and not any(self._columns.are_nullable):
            return {keys[0]: 1}  # if it is gone, no key equals its key
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

    @property
    def _keys_and_parts(self) -> sa.Select[t.Any]:
        """Select the ordering keys as the driver has them.

        A value that its column type refuses must not hide all other queues.
        """
        columns = self._columns
        raw = [sa.type_coerce(part, sa.types.NullType()) for part in columns.base_parts]
        return sa.select(*columns.base_key, *raw)

    @functools.cached_property
    def _parts_among(self) -> sa.Select[t.Any]:
        columns = self._columns
        return self._keys_and_parts.where(
            key_conditions.among(columns.base_key, self._dialect)
        )

    @functools.cached_property
    def _parts_of(self) -> dict[int, sa.Select[t.Any]]:
        select = self._keys_and_parts
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
