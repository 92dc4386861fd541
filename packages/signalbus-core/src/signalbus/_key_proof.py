"""Prove that rows are found again by their keys, before their signals are sent.

Where the types of a model and of its table do not go together, a key may find no row,
or another one. Then signals would be sent by every flush and never deleted; or a row
would be deleted whose signal was not sent.
"""

from __future__ import annotations

import datetime as dt
import decimal
import typing as t
import uuid

import sqlalchemy as sa

from signalbus import _keys

if t.TYPE_CHECKING:
    from signalbus._discover import Declaration
    from signalbus.typing import PrimaryKey

Present: t.TypeAlias = "t.Callable[[t.Sequence[PrimaryKey]], t.Sequence[PrimaryKey]]"

#: Types of columns, and those of their values that find exactly the row they are of.
_EXACT: tuple[tuple[type[t.Any], tuple[type, ...]], ...] = (
    (sa.Integer, (int,)),
    (sa.Uuid, (uuid.UUID, str)),
    (sa.CHAR, ()),  # blanks at its end do not count
    (sa.Enum, ()),
    (sa.String, (str,)),
    (sa.LargeBinary, (bytes,)),
)

#: The same, but not on SQLite, which keeps such values as texts or floats.
_EXACT_ELSEWHERE: tuple[tuple[type[t.Any], tuple[type, ...]], ...] = (
    (sa.Float, ()),
    (sa.Numeric, (decimal.Decimal,)),
    (sa.Date, (dt.date,)),
)


class KeyProof:
    """What is known of the keys of one model on one kind of database.

    Integers are looked up only where the column turns out to hold something else. Keys
    of other types are looked up once, those that are not exact in every burst.

    :param always: whether to look all keys up: a session deletes rows by its own means,
        and does not count them.
    """

    def __init__(self, declaration: Declaration, dialect: str, *, always: bool) -> None:
        columns = declaration.key_columns
        self._always = always
        self._is_proven = all(isinstance(c.type, sa.Integer) for c in columns)
        self._exact = [_exact_values(column.type, dialect) for column in columns]
        # Elsewhere all values of a column are of one type: one key tells it.
        self._is_typed = dialect in _keys.WITH_ARRAYS | _keys.MYSQL
        # A DELETE counts its rows, a session does not, and loads a row of a key once.
        is_counted = declaration.as_rows and not always
        self._may_repeat = not is_counted or not declaration.is_keyed

    def holds(self, keys: t.Sequence[PrimaryKey], present: Present) -> bool:
        """Tell whether each of *keys* finds its own row, and no other.

        :param present: returns those of some keys that have a row.
        """
        if self._may_repeat and len(set(keys)) != len(keys):
            return False
        if self.is_certain(keys):
            return True
        found = present(keys)
        self._is_proven = len(found) == len(keys) and set(found) == set(keys)
        return self._is_proven

    def is_certain(self, keys: t.Sequence[PrimaryKey]) -> bool:
        """Tell whether *keys* need not be looked up."""
        return self._is_proven and not self._always and self._are_exact(keys)

    def _are_exact(self, keys: t.Sequence[PrimaryKey]) -> bool:
        some = keys[:1] if self._is_typed else keys
        return all(
            type(value) in exact
            for key in some
            for value, exact in zip(key, self._exact, strict=True)
        )


def _exact_values(
    column_type: sa.types.TypeEngine[t.Any], dialect: str
) -> tuple[type, ...]:
    """Return the types of values that need no proof; none for types of others."""
    known = _EXACT if dialect == "sqlite" else _EXACT + _EXACT_ELSEWHERE
    return next((exact for kind, exact in known if isinstance(column_type, kind)), ())
