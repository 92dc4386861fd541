"""The choice of failed signals by model, key, error and state."""

from __future__ import annotations

import dataclasses
import typing as t

import sqlalchemy as sa

if t.TYPE_CHECKING:
    from signalbus.typing import PrimaryKey

    from signalbus_retry._entries import Entries

#: How many keys one statement names at most.
_MAX_KEYS: t.Final = 10_000


@dataclasses.dataclass(frozen=True)
class Choice:
    """The failed signals that a person has chosen.

    :param keys: their primary keys; ``None`` for all.
    :param error: a text that their last error must contain, in upper or lower case.
    :param parked: whether they are parked; ``None`` for both.
    """

    keys: list[PrimaryKey] | None = None
    error: str | None = None
    parked: bool | None = None

    def of_all(self) -> Choice:
        """Return the same choice among all keys."""
        return dataclasses.replace(self, keys=None)

    def parts(self) -> t.Iterator[Choice]:
        """Yield choices with few enough keys for one statement."""
        if self.keys is None:
            yield self
            return
        for start in range(0, len(self.keys), _MAX_KEYS):
            some = self.keys[start : start + _MAX_KEYS]
            yield dataclasses.replace(self, keys=some)

    def condition(self, entries: Entries) -> sa.ColumnElement[bool]:
        """Return the condition of their entries."""
        columns = entries.table.c
        conditions: list[sa.ColumnElement[bool]] = [entries.is_own]
        if self.keys is not None:
            conditions.append(columns.id.in_(map(entries.identify, self.keys)))
        if self.error:
            whole = columns.error_type + ": " + columns.error_text
            conditions.append(whole.icontains(self.error, autoescape=True))
        if self.parked is not None:
            is_parked = columns.next_attempt_at.is_(None)
            conditions.append(is_parked if self.parked else sa.not_(is_parked))
        return sa.and_(*conditions)
