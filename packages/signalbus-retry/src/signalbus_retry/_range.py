"""Read the rows in a range of numbers, with as little work as possible.

This query is executed for every burst, whether or not anything has ever failed.
"""

from __future__ import annotations

import secrets
import typing as t

import sqlalchemy as sa

#: The placeholder for the numbers in the text of a query. It is random, so that it
#: cannot occur in the names of tables, which are in that text, too.
_MARK: t.Final = f"signalbus_{secrets.token_hex(8)}"
FIRST: t.Final = sa.literal_column(f"{_MARK}_first", sa.BigInteger)
LAST: t.Final = sa.literal_column(f"{_MARK}_last", sa.BigInteger)
COUNT: t.Final = sa.literal_column(f"{_MARK}_count", sa.Integer)


class RangeQuery:
    """A query whose only parameters are integers, which are written into its text.

    :param select: the query, with :data:`FIRST`, :data:`LAST` and :data:`COUNT`.
    """

    def __init__(self, select: sa.Select[t.Any]) -> None:
        self._select = select
        self._texts: dict[str, str] = {}

    def rows(
        self, connection: sa.Connection, first: int, last: int, count: int
    ) -> list[tuple[t.Any, ...]]:
        """Return at most *count* rows, as the driver returns them."""
        text = self._texts.get(connection.dialect.name) or self._compile(connection)
        numbers = {FIRST: first, LAST: last, COUNT: count}
        for mark, number in numbers.items():
            text = text.replace(mark.name, str(int(number)))
        result = connection.exec_driver_sql(text)
        return list(result.cursor.fetchall()) if result.cursor else []

    def _compile(self, connection: sa.Connection) -> str:
        dialect = connection.dialect
        options = {"literal_binds": True}
        text = str(self._select.compile(dialect=dialect, compile_kwargs=options))
        return self._texts.setdefault(dialect.name, text)
