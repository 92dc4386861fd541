"""All that is known of a signal model before its first row is read."""

from __future__ import annotations

import dataclasses
import typing as t

from signalbus import _lock
from signalbus._burst_size import BurstSize
from signalbus._delete import Deletion
from signalbus._delete import needs_session
from signalbus._key_proof import KeyProof
from signalbus._key_types import is_single_precision
from signalbus._lock_by_key import KeyLockingStatements
from signalbus.exceptions import SignalModelError

if t.TYPE_CHECKING:
    import sqlalchemy as sa

    from signalbus._discover import Declaration


@dataclasses.dataclass
class Prepared:
    """What serves one signal model on one kind of database."""

    declaration: Declaration
    statements: _lock.Statements
    one_row: _lock.Statements
    deletion: Deletion
    needs_session: bool
    burst_size: BurstSize
    key_proof: KeyProof

    @classmethod
    def of(cls, declaration: Declaration, dialect: sa.Dialect) -> Prepared:
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
            deletion=Deletion(declaration, dialect),
            needs_session=by_session,
            burst_size=BurstSize(declaration),
            key_proof=KeyProof(declaration, dialect.name, always=by_session),
        )

    def fits(self, declaration: Declaration) -> bool:
        """Tell whether this is still right; a listener may have come to the model."""
        return self.declaration == declaration and self.needs_session == needs_session(
            declaration
        )

    def statements_for(self, count: int) -> _lock.Statements:
        """Return the statements that take a burst of *count* rows."""
        return self.one_row if count == 1 else self.statements

    def unusable_keys(self) -> SignalModelError:
        """Return the error that refuses keys which do not find their rows."""
        return SignalModelError(
            f"Rows of the signal model {self.declaration.model.__name__} are not found"
            " by their primary key as the model declares it. Give its key columns the"
            f" types that they have in the table {self.declaration.table.name}, and"
            " make sure that the key is unique there."
        )


def _statements(declaration: Declaration, dialect: str) -> _lock.Statements:
    if KeyLockingStatements.serve(declaration):
        return KeyLockingStatements(declaration, dialect)
    return _lock.Statements(declaration, dialect)


def _for_one_row(
    statements: _lock.Statements, declaration: Declaration
) -> _lock.Statements:
    """Return the statements for a burst of one: those that delete, if they can."""
    dialect = statements.dialect
    is_plain = not isinstance(statements, KeyLockingStatements)
    if is_plain and _lock.DeletingStatements.serve(declaration, dialect):
        return _lock.DeletingStatements(declaration, dialect)
    return statements


def _refuse_imprecise_keys(declaration: Declaration, dialect: sa.Dialect) -> None:
    for column in declaration.key_columns:
        if is_single_precision(column.type, dialect):
            raise SignalModelError(
                f"The signal model {declaration.model.__name__} has a primary key of"
                f" single precision ({column.key}), which does not equal the number"
                " that it is read as. Use a double, a decimal or an integer."
            )
