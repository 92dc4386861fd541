"""Lock rows by their keys alone, for models whose SELECT cannot be locked.

PostgreSQL locks no rows of a query with window functions, nor of the outer side of a
join; MySQL locks what a subquery reads, too. So the plain keys are locked first, and
the signals are read after, in the same transaction.
"""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

from signalbus._lock import LockingStatements
from signalbus._locked import NOTHING
from signalbus._locked import Burst
from signalbus._sql import key_conditions

if t.TYPE_CHECKING:
    import sqlalchemy.orm as sa_orm

    from signalbus._declaration import Declaration


class KeyLockingStatements(LockingStatements):
    """Statements that lock keys, and read the signals in a second step."""

    @staticmethod
    def serve(declaration: Declaration) -> bool:
        """Return whether a model's SELECT has more in it than columns of its tables."""
        mapper = declaration.mapper
        return mapper.with_polymorphic is not None or not all(
            isinstance(attribute.columns[0], sa.Column)
            for attribute in mapper.column_attrs
        )

    @property
    def _key(self) -> list[t.Any]:
        """The columns themselves: the model's attributes would bring its joins."""
        return list(self._mapper.primary_key)

    def _signals(self) -> sa.Select[t.Any]:
        return self.own(sa.select(*self._key))

    def take(
        self,
        executor: sa.Connection | sa_orm.Session,
        statement: sa.Executable,
        params: key_conditions.Params,
    ) -> Burst:
        """Lock keys with one of the locking statements, and read their signals."""
        keys = [tuple(row) for row in executor.execute(statement, params)]
        bursts = [
            super(KeyLockingStatements, self).take(
                executor, self._reading, key_conditions.among_params(some)
            )
            for some in key_conditions.slices(keys, self.max_keys)
        ]
        if not bursts:
            return NOTHING
        return Burst(
            [signal for burst in bursts for signal in burst.signals],
            [key for burst in bursts for key in burst.keys],
        )

    @property
    def _reading(self) -> sa.Executable:
        return self._chosen(super()._signals())
