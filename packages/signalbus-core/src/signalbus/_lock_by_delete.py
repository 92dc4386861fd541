"""Lock the only row of a burst by deleting it, which saves a round trip."""

from __future__ import annotations

import functools
import typing as t

import sqlalchemy as sa

from signalbus._lock import LockingStatements
from signalbus._sql import key_conditions

if t.TYPE_CHECKING:
    from signalbus._declaration import Declaration


class DeletingStatements(LockingStatements):
    """Lock and delete the only row of a burst with one statement.

    A deleted row is locked like any other, and comes back if the transaction is rolled
    back. A larger burst could not keep the signals that failed and delete the others.
    """

    deletes = True

    @staticmethod
    def serve(declaration: Declaration, dialect: str) -> bool:
        """Return whether the rows of a model can be locked like this."""
        return (
            dialect in key_conditions.WITH_ARRAYS
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
        """Delete a row, unless another transaction has locked it."""
        return self._delete(self._locking(self._chosen(self.pending_keys)))

    @property
    def first_free_rows(self) -> sa.Executable:
        """Delete a row, unless another transaction has locked it."""
        return self.free_rows

    @property
    def _among(self) -> sa.ColumnElement[bool]:
        return key_conditions.equal(self._key)

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
