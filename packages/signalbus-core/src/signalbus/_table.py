"""What serves one signal model on one kind of database, made once and kept."""

from __future__ import annotations

import dataclasses
import typing as t

from signalbus._burst_size import BurstSize
from signalbus._lock import LockingStatements
from signalbus._lock_by_delete import DeletingStatements
from signalbus._lock_by_key import KeyLockingStatements
from signalbus._queues_by_join import LateralQueueReader
from signalbus._queues_by_union import UnionQueueReader
from signalbus._sql import key_conditions
from signalbus._sql.deletes import DeleteStatement
from signalbus._sql.deletes import needs_session
from signalbus._sql.key_proof import KeyProof
from signalbus._sql.key_types import is_single_precision
from signalbus._sql.rows import SentValues
from signalbus.exceptions import SignalModelError

if t.TYPE_CHECKING:
    import sqlalchemy as sa

    from signalbus._declaration import Declaration
    from signalbus._queues import QueueReader
    from signalbus.typing import SignalModel


@dataclasses.dataclass
class SignalTable:
    """The statements for one signal model, and what was learnt about its rows."""

    declaration: Declaration
    statements: LockingStatements
    #: For bursts of one row: these may delete it, too.
    one_row: LockingStatements
    delete: DeleteStatement
    needs_session: bool
    burst_size: BurstSize
    key_proof: KeyProof
    sent_values: SentValues
    #: What reads the queues of the ordering key, if the model has one.
    queues: QueueReader | None

    @classmethod
    def of(cls, declaration: Declaration, dialect: sa.Dialect) -> SignalTable:
        """Prepare a model for a kind of database.

        :raises SignalModelError: if its rows cannot be told apart there.
        """
        _refuse_imprecise_keys(declaration, dialect)
        statements = _statements(declaration, dialect.name)
        by_session = needs_session(declaration)
        return cls(
            declaration=declaration,
            statements=statements,
            one_row=statements if by_session else _for_one_row(statements, declaration),
            delete=DeleteStatement(declaration, dialect),
            needs_session=by_session,
            burst_size=BurstSize(declaration),
            key_proof=KeyProof(declaration, dialect.name, always=by_session),
            sent_values=SentValues(declaration.mapper, as_rows=declaration.as_rows),
            queues=_queue_reader(declaration, statements),
        )

    def unusable_keys(self) -> SignalModelError:
        """Return the error that refuses keys which do not find their rows."""
        return SignalModelError(
            f"Rows of the signal model {self.declaration.model.__name__} are not found"
            " by their primary key as the model declares it. Give its key columns the"
            f" types that they have in the table {self.declaration.table.name}, and"
            " make sure that the key is unique there."
        )


class SignalTables:
    """The :class:`SignalTable` of each model and kind of database."""

    def __init__(self) -> None:
        self._tables: dict[tuple[SignalModel, str], SignalTable] = {}

    def get(self, declaration: Declaration, dialect: sa.Dialect) -> SignalTable:
        """Return the table of a model, made on first use.

        It is made anew if the model has got a listener since.
        """
        key = (declaration.model, dialect.name)
        table = self._tables.get(key)
        if table is None or table.needs_session != needs_session(declaration):
            table = self._tables[key] = SignalTable.of(declaration, dialect)
        return table


def _statements(declaration: Declaration, dialect: str) -> LockingStatements:
    if KeyLockingStatements.serve(declaration):
        return KeyLockingStatements(declaration, dialect)
    return LockingStatements(declaration, dialect)


def _for_one_row(
    statements: LockingStatements, declaration: Declaration
) -> LockingStatements:
    """Return the statements for a burst of one: those that delete, if possible."""
    dialect = statements.dialect
    is_plain = not isinstance(statements, KeyLockingStatements)
    if is_plain and DeletingStatements.serve(declaration, dialect):
        return DeletingStatements(declaration, dialect)
    return statements


def _queue_reader(
    declaration: Declaration, statements: LockingStatements
) -> QueueReader | None:
    """Return what reads the queues of a model, if it has an ordering key."""
    if not declaration.ordering_key:
        return None
    if statements.dialect in key_conditions.WITH_LATERAL:
        return LateralQueueReader(declaration, statements)
    return UnionQueueReader(declaration, statements)


def _refuse_imprecise_keys(declaration: Declaration, dialect: sa.Dialect) -> None:
    for column in declaration.key_columns:
        if is_single_precision(column.type, dialect):
            raise SignalModelError(
                f"The signal model {declaration.model.__name__} has a primary key of"
                f" single precision ({column.key}), whose stored values do not equal"
                " the values read back. Use a double, a decimal or an integer."
            )
