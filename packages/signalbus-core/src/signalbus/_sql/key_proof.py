"""Prove that rows are found again by their keys, before their signals are sent.

Where the types of a model and of its table do not match, a key may find no row, or a
wrong one. Then signals would be sent by every flush and never deleted, or a row would
be deleted whose signal was not sent.
"""

from __future__ import annotations

import datetime as dt
import decimal
import typing as t
import uuid

import sqlalchemy as sa

from signalbus._sql import key_conditions

if t.TYPE_CHECKING:
    from signalbus._declaration import Declaration
    from signalbus.typing import PrimaryKey

Read: t.TypeAlias = "t.Callable[[], t.Iterable[PrimaryKey]]"
Present: t.TypeAlias = "t.Callable[[t.Sequence[PrimaryKey]], t.Sequence[PrimaryKey]]"

#: Column types, and the types of values that find exactly their own row.
_EXACT: tuple[tuple[type[t.Any], tuple[type, ...]], ...] = (
    (sa.Integer, (int,)),
    (sa.Uuid, (uuid.UUID, str)),
    (sa.CHAR, ()),  # trailing blanks are ignored
    (sa.Enum, ()),
    (sa.String, (str,)),
    (sa.LargeBinary, (bytes,)),
)

#: Likewise, but not on SQLite, which stores such values as texts or floats.
_EXACT_ELSEWHERE: tuple[tuple[type[t.Any], tuple[type, ...]], ...] = (
    (sa.Float, ()),
    (sa.Numeric, (decimal.Decimal,)),
    (sa.Date, (dt.date,)),
)


class KeyProof:
    """What is known about the keys of one model on one kind of database.

    Integers are looked up only if the column turns out to hold something else. Keys of
    other types are looked up once, and those that are not exact in every burst.

    :param always: whether to look up all keys: a session deletes rows by its own
        means, and does not count them.
    """

    def __init__(self, declaration: Declaration, dialect: str, *, always: bool) -> None:
        columns = declaration.key_columns
        self._always = always
        self._is_proven = all(isinstance(c.type, sa.Integer) for c in columns)
        self._exact = [_exact_values(column.type, dialect) for column in columns]
        # Elsewhere all values of a column have one type: the first key shows it.
        self._is_typed = dialect in key_conditions.WITH_ARRAYS | key_conditions.MYSQL
        # A DELETE counts its rows, a session does not, and loads a row of a key once.
        is_counted = declaration.as_rows and not always
        self._may_repeat = not is_counted or not declaration.is_keyed

    def holds(self, keys: t.Sequence[PrimaryKey], present: Present) -> bool:
        """Return whether each of *keys* finds its own row, and no other.

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
        """Return whether *keys* need not be looked up."""
        return self._is_proven and not self._always and self._are_exact(keys)

    def was_lost(
        self, keys: t.Sequence[PrimaryKey], present: Present, read: Read
    ) -> bool:
        """Return whether one of *keys*, just read, does not find a row that is there.

        It would pass for a signal that another flusher has sent. So those that find no
        row are read again.

        :param present: returns those of some keys that have a row.
        :param read: reads the keys again.
        """
        if not keys or self.is_certain(keys):
            return False
        absent = set(keys) - set(present(keys))
        return bool(absent) and not absent.isdisjoint(read())

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
    """Return the types of values of a column that need no proof."""
    known = _EXACT if dialect == "sqlite" else _EXACT + _EXACT_ELSEWHERE
    return next((exact for kind, exact in known if isinstance(column_type, kind)), ())
