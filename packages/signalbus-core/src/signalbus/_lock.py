"""Step 4, lock: take the next burst of rows, so that no other flusher sends them.

A row is locked until the transaction ends. Rows that others have locked are passed
over (``SKIP LOCKED``).
"""

from __future__ import annotations

import functools
import typing as t

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

from signalbus._locked import Burst
from signalbus._sql import key_conditions
from signalbus._sql.rows import attribute_names
from signalbus._sql.rows import key_getter
from signalbus._sql.rows import key_of_instance
from signalbus._sql.rows import row_maker
from signalbus._sql.sort_order import attached

if t.TYPE_CHECKING:
    from signalbus._declaration import Declaration
    from signalbus.typing import PrimaryKey


class LockingStatements:
    """The SELECTs of one signal model on one kind of database, each built once."""

    #: Whether the statement that locks a row deletes it, too.
    deletes = False

    def __init__(self, declaration: Declaration, dialect: str) -> None:
        self._model = declaration.model
        self._mapper = declaration.mapper
        self._as_rows = declaration.as_rows
        self._is_keyed = declaration.is_keyed
        self.dialect = dialect
        self._names = attribute_names(self._mapper)
        self._make_rows = row_maker(self._model, self._names)
        self._key_of_row = key_getter(self._mapper, self._names)

    @functools.cached_property
    def next_rows(self) -> sa.Executable:
        """Lock the next rows in the order of the primary key."""
        return self._locking(self._some(self._signals()))

    @functools.cached_property
    def rows_after(self) -> sa.Executable:
        """Lock the next rows after a key in the order of the primary key."""
        return self._locking(self._some(self._signals().where(self._after)))

    @functools.cached_property
    def next_keys(self) -> sa.Select[t.Any]:
        """Read the next keys in their order, and lock nothing."""
        return self._some(self.pending_keys)

    @functools.cached_property
    def keys_after(self) -> sa.Select[t.Any]:
        """Read the next keys after a key, and lock nothing."""
        return self._some(self.pending_keys.where(self._after))

    @functools.cached_property
    def free_rows(self) -> sa.Executable:
        """Lock those of some rows that no one else has locked."""
        return self._locking(self._chosen(self._signals()))

    @functools.cached_property
    def first_free_rows(self) -> sa.Executable:
        """Lock the first of those of some rows that no one else has locked."""
        select = self._signals().where(self._among)
        return self._locking(self._some(select))

    @functools.cached_property
    def chosen_rows(self) -> sa.Executable:
        """Lock some rows, and wait for those that are locked."""
        return self._chosen(self._signals()).with_for_update()

    @functools.cached_property
    def instances(self) -> sa.Select[t.Any]:
        """Load some rows, which are locked already, as instances."""
        return self.own(self._instances()).where(self._among)

    @functools.cached_property
    def pending_keys(self) -> sa.Select[t.Any]:
        """Read the keys of all rows."""
        return self.own(sa.select(*self._key))

    def sample(
        self, connection: sa.Connection, names: t.Sequence[str], count: int
    ) -> t.Sequence[t.Any]:
        """Read some attributes of the first rows, and lock nothing."""
        columns = [getattr(self._model, name) for name in names]
        select = self._some(self.own(sa.select(*columns)))
        return connection.execute(select, {"burst_count": count}).all()

    def pending_keys_by(self, order_by: t.Sequence[t.Any]) -> sa.Select[t.Any]:
        """Read the keys of all rows in an order, and by key where that is equal."""
        return self.pending_keys.order_by(*self.attached(order_by), *self._key)

    def attached(self, order_by: t.Sequence[t.Any]) -> list[t.Any]:
        """Return the expressions of an order with the columns of the table."""
        table = self._mapper.local_table
        return [attached(expression, table) for expression in order_by]

    @functools.cached_property
    def pending_count(self) -> sa.Select[t.Any]:
        """Count all rows."""
        return self.own(
            sa.select(sa.func.count()).select_from(self._model).order_by(None)
        )

    def pending_count_up_to(self, limit: int) -> sa.Select[t.Any]:
        """Count all rows, but read only so many."""
        some = self.own(sa.select(sa.literal_column("1")).select_from(self._model))
        return sa.select(sa.func.count()).select_from(some.limit(limit).subquery())

    @functools.cached_property
    def _keys_left(self) -> sa.Select[t.Any]:
        """Read which of some keys still have a row."""
        return self.pending_keys.where(self._among)

    @property
    def _key(self) -> list[t.Any]:
        """The attributes of the primary key, in the order of its columns."""
        return [
            getattr(self._model, self._mapper.get_property_by_column(column).key)
            for column in self._mapper.primary_key
        ]

    @functools.cached_property
    def max_keys(self) -> int:
        """How many keys one statement may name."""
        return key_conditions.max_keys(self._key, self.dialect)

    @property
    def _among(self) -> sa.ColumnElement[bool]:
        return key_conditions.among(self._key, self.dialect)

    @property
    def _after(self) -> sa.ColumnElement[bool]:
        return key_conditions.after(self._key, self.dialect)

    def _signals(self) -> sa.Select[t.Any]:
        return self._values() if self._as_rows else self.own(self._instances())

    def _values(self) -> sa.Select[t.Any]:
        """Select the values of the model's attributes."""
        columns = [getattr(self._model, name).label(name) for name in self._names]
        return self.own(sa.select(*columns))

    def _instances(self) -> sa.Select[t.Any]:
        """Select instances.

        What is loaded eagerly by a join cannot be locked, so it is loaded afterwards.
        """
        loads = [
            sa_orm.selectinload(getattr(self._model, relationship.key))
            for relationship in self._mapper.relationships
            if relationship.lazy in ("joined", False)
        ]
        return sa.select(self._model).options(*loads)

    def _by_key(self, select: sa.Select[t.Any]) -> sa.Select[t.Any]:
        """Read in the order of the primary key, through its index.

        MySQL locks all that it reads, before it sorts and filters. If it scanned the
        table, others would find every row locked.
        """
        table = self._mapper.local_table
        ordered = select.order_by(*self._key)
        if self.dialect not in key_conditions.MYSQL or not self._is_keyed:
            return ordered
        return ordered.with_hint(table, "FORCE INDEX (PRIMARY)", self.dialect)

    def own(self, select: sa.Select[t.Any]) -> sa.Select[t.Any]:
        """Leave out the rows of models that inherit from this one."""
        mapper = self._mapper
        if mapper.polymorphic_on is None or mapper.concrete:
            return select
        return select.where(mapper.polymorphic_on == mapper.polymorphic_identity)

    @staticmethod
    def _locking(select: sa.Select[t.Any]) -> sa.Select[t.Any]:
        return select.with_for_update(skip_locked=True)

    def _some(self, select: sa.Select[t.Any]) -> sa.Select[t.Any]:
        return self._by_key(select).limit(
            sa.bindparam("burst_count", type_=sa.BigInteger)
        )

    def _chosen(self, select: sa.Select[t.Any]) -> sa.Select[t.Any]:
        return self._by_key(select.where(self._among))

    def read_keys(
        self,
        executor: sa.Connection | sa_orm.Session,
        select: sa.Select[t.Any],
        params: key_conditions.Params,
    ) -> list[PrimaryKey]:
        """Return the keys that one of these statements reads: maybe very many.

        Integers are the same to SQLAlchemy and to drivers, which make tuples faster.
        """
        result = executor.execute(select, params)
        if self._has_integer_keys and isinstance(result, sa.CursorResult):
            return list(result.cursor.fetchall()) if result.cursor else []
        return list(map(tuple, result.all()))

    @functools.cached_property
    def _has_integer_keys(self) -> bool:
        return all(
            isinstance(column.type, sa.Integer) for column in self._mapper.primary_key
        )

    def lock(
        self,
        connection: sa.Connection,
        keys: t.Sequence[PrimaryKey],
        *,
        wait: bool = False,
    ) -> list[PrimaryKey]:
        """Lock rows by their keys alone, and return the keys that were free.

        :param wait: whether to wait for rows that are locked, in the order of their
            keys, so that two who wait for each other's rows are rare.
        """
        locking = self._locking(self._keys_left)
        if wait:
            locking = self._chosen(self.pending_keys).with_for_update()
        return [
            tuple(row)
            for some in key_conditions.slices(keys, self.max_keys)
            for row in connection.execute(locking, key_conditions.among_params(some))
        ]

    def present(
        self, executor: sa.Connection | sa_orm.Session, keys: t.Sequence[PrimaryKey]
    ) -> list[PrimaryKey]:
        """Return those of *keys* that still have a row."""
        return [
            tuple(row)
            for some in key_conditions.slices(keys, self.max_keys)
            for row in executor.execute(
                self._keys_left, key_conditions.among_params(some)
            )
        ]

    def read(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> dict[PrimaryKey, dict[str, t.Any]]:
        """Return the values of rows, by the names of their attributes."""
        select = self._values().where(self._among)
        return {
            self._key_of_row(row): dict(zip(self._names, row, strict=True))
            for some in key_conditions.slices(keys, self.max_keys)
            for row in connection.execute(select, key_conditions.among_params(some))
        }

    def take(
        self,
        executor: sa.Connection | sa_orm.Session,
        statement: sa.Executable,
        params: key_conditions.Params,
    ) -> Burst:
        """Execute one of the locking statements."""
        if isinstance(executor, sa_orm.Session):
            instances = executor.scalars(statement, params).all()
            return Burst(
                instances, [key_of_instance(instance) for instance in instances]
            )
        rows = executor.execute(statement, params).all()
        return Burst(self._make_rows(rows), list(map(self._key_of_row, rows)))
