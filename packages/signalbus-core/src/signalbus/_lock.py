"""Step 3, lock: take the next burst of rows, so that nobody else sends them.

A row is locked until the transaction ends. Rows that others have locked are passed
over (``SKIP LOCKED``).
"""

from __future__ import annotations

import dataclasses
import functools
import operator
import typing as t

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
import sqlalchemy.sql.visitors as sa_visitors

from signalbus import _keys
from signalbus import _rows

if t.TYPE_CHECKING:
    from signalbus._discover import Declaration
    from signalbus.typing import PrimaryKey
    from signalbus.typing import Signal


@dataclasses.dataclass(frozen=True)
class Burst:
    """Signals that are locked together, and their primary keys, in the same order."""

    signals: t.Sequence[Signal]
    keys: t.Sequence[PrimaryKey]


NOTHING = Burst((), ())


class Statements:
    """The SELECTs of one signal model on one kind of database, built once."""

    #: Whether rows that are taken are deleted with that.
    deletes = False

    def __init__(self, declaration: Declaration, dialect: str) -> None:
        self._model = declaration.model
        self._mapper = declaration.mapper
        self._as_rows = declaration.as_rows
        self._is_keyed = declaration.is_keyed
        self.dialect = dialect
        names = _rows.attribute_names(self._mapper)
        self._names = names
        self._stored = [
            attribute.key
            for attribute in self._mapper.column_attrs
            if isinstance(attribute.columns[0], sa.Column)
        ]
        self._make_rows = _rows.row_maker(self._model, names)
        self._key_of_row = _key_getter(self._mapper, names)

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
        """Lock those of some rows that nobody else has locked."""
        return self._locking(self._chosen(self._signals()))

    @functools.cached_property
    def chosen_rows(self) -> sa.Executable:
        """Lock some rows, and wait for those that somebody else has locked."""
        return self._chosen(self._signals()).with_for_update()

    @functools.cached_property
    def instances(self) -> sa.Select[t.Any]:
        """Load some rows, which are locked already, as instances."""
        return self._own(self._instances()).where(self._among)

    @functools.cached_property
    def pending_keys(self) -> sa.Select[t.Any]:
        """Read the keys of all rows."""
        return self._own(sa.select(*self._key))

    def sample(
        self, connection: sa.Connection, names: t.Sequence[str], count: int
    ) -> t.Sequence[t.Any]:
        """Read some attributes of the first rows, and lock nothing."""
        columns = [getattr(self._model, name) for name in names]
        select = self._some(self._own(sa.select(*columns)))
        return connection.execute(select, {"burst_count": count}).all()

    def pending_keys_by(self, order_by: t.Sequence[t.Any]) -> sa.Select[t.Any]:
        """Read the keys of all rows in an order; rows that it leaves equal by key."""
        table = self._mapper.local_table
        order = [_attached(expression, table) for expression in order_by]
        return self.pending_keys.order_by(*order, *self._key)

    @functools.cached_property
    def pending_count(self) -> sa.Select[t.Any]:
        """Count all rows."""
        return self._own(
            sa.select(sa.func.count()).select_from(self._model).order_by(None)
        )

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
    def most_keys(self) -> int:
        """How many keys may be chosen at a time."""
        return _keys.most(self._key, self.dialect)

    @property
    def _among(self) -> sa.ColumnElement[bool]:
        return _keys.among(self._key, self.dialect)

    @property
    def _after(self) -> sa.ColumnElement[bool]:
        return _keys.after(self._key, self.dialect)

    def _signals(self) -> sa.Select[t.Any]:
        if not self._as_rows:
            return self._own(self._instances())
        columns = [getattr(self._model, name).label(name) for name in self._names]
        return self._own(sa.select(*columns))

    def _instances(self) -> sa.Select[t.Any]:
        """Select instances; a joined eager load could not be locked, so load it after.

        Identity maps are fresh, but a flusher's session may hold a stale instance.
        """
        loads = [
            sa_orm.selectinload(getattr(self._model, relationship.key))
            for relationship in self._mapper.relationships
            if relationship.lazy in ("joined", False)
        ]
        return sa.select(self._model).options(*loads)

    def _by_key(self, select: sa.Select[t.Any]) -> sa.Select[t.Any]:
        """Read in the order of the primary key, and by no other way.

        MySQL locks all that it reads, before it sorts and filters: were it to scan the
        table, others would find everything locked.
        """
        table = self._mapper.local_table
        ordered = select.order_by(*self._key)
        if self.dialect not in _keys.MYSQL or not self._is_keyed:
            return ordered
        return ordered.with_hint(table, "FORCE INDEX (PRIMARY)", self.dialect)

    def _own(self, select: sa.Select[t.Any]) -> sa.Select[t.Any]:
        """Leave the rows of inheriting models to them."""
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

    def values(self, signals: t.Sequence[Signal]) -> t.Sequence[t.Any]:
        """Return what *signals* are like now, for :meth:`are_equal`.

        A sender may change an instance, and a rollback empties it.
        """
        if self._as_rows:
            return signals
        return [vars(signal).copy() for signal in signals]

    def are_equal(self, one: t.Any, other: t.Any) -> bool | None:
        """Compare the columns of two of :meth:`values`; ``None`` if they cannot be.

        Left out is what the database computes, which may differ each time, and what an
        instance has not loaded, as deferred columns.
        """
        if self._as_rows:
            pairs = [
                (getattr(one, name), getattr(other, name)) for name in self._stored
            ]
        else:
            names = [name for name in self._stored if name in one and name in other]
            pairs = [(one[name], other[name]) for name in names]
        answers = {_is_same(*pair) for pair in pairs}
        return None if None in answers else False not in answers

    def present(
        self, executor: sa.Connection | sa_orm.Session, keys: t.Sequence[PrimaryKey]
    ) -> list[PrimaryKey]:
        """Return those of *keys* that still have a row."""
        return [
            tuple(row)
            for some in _keys.slices(keys, self.most_keys)
            for row in executor.execute(self._keys_left, _keys.among_params(some))
        ]

    def take(
        self,
        executor: sa.Connection | sa_orm.Session,
        statement: sa.Executable,
        params: _keys.Params,
    ) -> Burst:
        """Execute one of the locking statements."""
        if isinstance(executor, sa_orm.Session):
            instances = executor.scalars(statement, params).all()
            return Burst(instances, [_identity(instance) for instance in instances])
        rows = executor.execute(statement, params).all()
        return Burst(self._make_rows(rows), list(map(self._key_of_row, rows)))


class DeletingStatements(Statements):
    """Lock and delete the only row of a burst with one statement.

    A deleted row is locked as well as any, and is there again if the transaction rolls
    back. That spares a burst of one a round trip. A larger burst could not keep the
    signals that failed and delete the others.
    """

    deletes = True

    @staticmethod
    def serve(declaration: Declaration, dialect: str) -> bool:
        """Tell whether the rows of a model can be taken like this."""
        return (
            dialect in _keys.WITH_ARRAYS
            and len(declaration.mapper.primary_key) == 1
            and (declaration.as_rows or not declaration.mapper.relationships)
        )

    @functools.cached_property
    def next_rows(self) -> sa.Executable:
        """Delete the next row in the order of the primary key."""
        return self._delete(self._locking(self._some(self.pending_keys)))

    @functools.cached_property
    def rows_after(self) -> sa.Executable:
        """Delete the next row after a key in the order of the primary key."""
        keys = self.pending_keys.where(self._after)
        return self._delete(self._locking(self._some(keys)))

    @functools.cached_property
    def free_rows(self) -> sa.Executable:
        """Delete a row, unless somebody else has locked it."""
        return self._delete(self._locking(self._chosen(self.pending_keys)))

    @property
    def _among(self) -> sa.ColumnElement[bool]:
        return _keys.equal(self._key)

    def _delete(self, keys: sa.Select[t.Any]) -> sa.Executable:
        (key,) = self._mapper.primary_key
        delete = sa.delete(t.cast("sa.Table", self._mapper.local_table)).where(
            key == keys.scalar_subquery()
        )
        attributes = self._mapper.column_attrs
        if self._as_rows:
            return delete.returning(
                *[attribute.columns[0].label(attribute.key) for attribute in attributes]
            )
        return sa.select(self._model).from_statement(
            delete.returning(*[attribute.columns[0] for attribute in attributes])
        )


def _is_same(one: t.Any, other: t.Any) -> bool | None:
    """Tell whether two values are equal, or both no number; ``None`` if unknown."""
    if one == other or (one != one and other != other):  # noqa: PLR0124 NaN
        return True
    equality: t.Any = type(one).__eq__
    by_identity = equality is object.__eq__ and type(one) is type(other)
    return None if by_identity else False


def _attached(expression: t.Any, table: t.Any) -> t.Any:
    """Return *expression* about *table*.

    A mixin's columns are copied to the tables of its models, so an order that a mixin
    declares speaks of columns that are in no table.
    """

    def replace(element: t.Any, **_: object) -> t.Any:
        if isinstance(element, sa.Column) and element.table is None:
            return table.c[element.key]
        return None

    clause = getattr(expression, "__clause_element__", lambda: expression)()
    return sa_visitors.replacement_traverse(clause, {}, replace)


def _identity(instance: object) -> PrimaryKey:
    return t.cast("PrimaryKey", sa.inspect(instance, raiseerr=True).identity)


def _key_getter(
    mapper: sa_orm.Mapper[t.Any], names: list[str]
) -> t.Callable[[t.Any], PrimaryKey]:
    """Return what takes the primary key out of a row."""
    positions = [
        names.index(mapper.get_property_by_column(column).key)
        for column in mapper.primary_key
    ]
    if len(positions) > 1:
        return operator.itemgetter(*positions)
    (position,) = positions
    return lambda row: (row[position],)
