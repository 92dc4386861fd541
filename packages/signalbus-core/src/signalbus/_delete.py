"""Step 7, delete: remove exactly the rows whose messages were confirmed."""

from __future__ import annotations

import typing as t

import sqlalchemy.orm as sa_orm

from signalbus._sql import executors
from signalbus._sql import key_conditions
from signalbus.exceptions import SignalBusError

if t.TYPE_CHECKING:
    import sqlalchemy as sa

    from signalbus._locked import Burst
    from signalbus._sql.executors import Executor
    from signalbus._table import SignalTable
    from signalbus.typing import PrimaryKey


class Deletion:
    """Delete rows of one model, in the transaction that holds their locks.

    :raises SignalBusError: by all methods, if other rows were deleted than those.
    """

    def __init__(self, table: SignalTable, connection: sa.Connection) -> None:
        self._table = table
        self._connection = connection

    def of_burst(
        self, executor: Executor, burst: Burst, keys: t.Sequence[PrimaryKey]
    ) -> None:
        """Delete those rows of *burst* that have one of *keys*."""
        if self._table.needs_session and isinstance(executor, sa_orm.Session):
            wanted = set(keys)
            signals = zip(burst.keys, burst.signals, strict=True)
            instances = [signal for key, signal in signals if key in wanted]
            self._delete_instances(executor, keys, instances)
        else:
            self.by_keys(keys)

    def by_keys(self, keys: t.Sequence[PrimaryKey]) -> None:
        """Delete rows whose instances are not at hand."""
        if not keys:
            return
        if not self._table.needs_session:
            self._delete_rows(keys)
            return
        statements = self._table.statements
        with executors.session_on(self._connection) as session:
            for some in key_conditions.slices(keys, statements.max_keys):
                params = key_conditions.among_params(some)
                instances = session.scalars(statements.instances, params).all()
                self._delete_instances(session, some, instances)

    def _delete_rows(self, keys: t.Sequence[PrimaryKey]) -> None:
        deleted = self._table.delete.rows(self._connection, keys)
        if 0 <= deleted != len(keys):  # a negative count is an unknown one
            raise self._miscounted(keys)

    def _delete_instances(
        self,
        session: sa_orm.Session,
        keys: t.Sequence[PrimaryKey],
        instances: t.Sequence[object],
    ) -> None:
        """Delete *instances* as the application would, cascades and listeners included.

        A session does not count what it deletes, so look.
        """
        for instance in instances:
            session.delete(instance)
        session.flush()
        if self._table.statements.present(self._connection, keys):
            raise self._miscounted(keys)

    def _miscounted(self, keys: t.Sequence[PrimaryKey]) -> SignalBusError:
        """Return why other rows were deleted than the locked ones."""
        if self._table.statements.present(self._connection, keys):
            return SignalBusError(
                f"The database accepted the DELETE of"
                f" {self._table.declaration.table.name} and kept the row. Look for a"
                " trigger or a policy that prevents the deletion."
            )
        return self._table.unusable_keys()
