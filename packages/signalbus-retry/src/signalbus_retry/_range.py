"""Read what is in a range of numbers, with as little work as possible.

This is asked for every burst, whether or not anything has ever failed.
"""

from __future__ import annotations

import typing as t

import sqlalchemy as sa

#: What stands for the numbers in the text of a query.
FIRST: t.Final = sa.literal_column("__first__", sa.BigInteger)
LAST: t.Final = sa.literal_column("__last__", sa.BigInteger)
COUNT: t.Final = sa.literal_column("__count__", sa.Integer)


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
