"""The entries of one signal model in the table ``signalbus_failure``."""

from __future__ import annotations

import typing as t

import sqlalchemy as sa
from signalbus import clock

from signalbus_retry import _keys
from signalbus_retry._begun import BEING_SENT
from signalbus_retry._begun import ENDED
from signalbus_retry._begun import text_of
from signalbus_retry._range import COUNT
from signalbus_retry._range import FIRST
from signalbus_retry._range import LAST
from signalbus_retry._range import RangeQuery
from signalbus_retry.failure import MAX_TEXT
from signalbus_retry.failure import MAX_TYPE
from signalbus_retry.failure import Failure

if t.TYPE_CHECKING:
    from signalbus import Declaration
    from signalbus.typing import PrimaryKey

#: How many values one statement may list. With more, PostgreSQL may read the whole
#: table instead, as long as it has no statistics.
MAX_VALUES: t.Final = 200


#: What a flush must know about a failed signal. These are numbers to save memory.
DUE: t.Final = 0
WAITING: t.Final = 1
PARKED: t.Final = 2

#: Due, but its process ended during the last attempt.
SUSPECT: t.Final = 3

States: t.TypeAlias = "dict[PrimaryKey, int]"


class Entries:
    """Read and write the entries of one signal model, on connections of its database.

    Its statements are made once. They find entries by ranges of an index, or by known
    values, so that wrong statistics cannot make them slow.
    """

    def __init__(self, declaration: Declaration, table: sa.Table) -> None:
        self.declaration = declaration
        self.table = table
        self._name = declaration.table.fullname
        self.has_numbers = _keys.has_numbers(declaration)
        columns = table.c
        in_table = columns.table_name == self._name
        self.is_own = in_table
        if declaration.mapper.polymorphic_on is not None:  # others may have its table
            self.is_own = in_table & (columns.model == declaration.model.__name__)
        is_due = columns.next_attempt_at <= clock.now()
        ended = columns.error_type.in_([BEING_SENT, ENDED])
        state = sa.case(
            (columns.next_attempt_at.is_(None), sa.literal_column(str(PARKED))),
            (is_due & ended, sa.literal_column(str(SUSPECT))),
            (is_due, sa.literal_column(str(DUE))),
            else_=sa.literal_column(str(WAITING)),
        )
        numbers = sa.select(columns.number, state).where(in_table)
        self._any = sa.select(columns.id).where(in_table).limit(1)
        in_range = columns.number.between(FIRST, LAST)
        parked = sa.select(columns.number).where(columns.next_attempt_at.is_(None))
        self._in_range = RangeQuery(
            numbers.where(in_range).order_by(columns.number).limit(COUNT)
        )
        self._parked_in_range = RangeQuery(
            parked.where(in_table, in_range).order_by(columns.number).limit(COUNT)
        )
        self._of_numbers = numbers.where(columns.number.in_(_values("values")))
        self._of_ids = sa.select(columns.id, state).where(
            columns.id.in_(_values("values"))
        )
        # Of all tables: to look for one of them might be to read all entries.
        own = sa.case((self.is_own, 1), else_=0).label("own")
        self._page = (
            sa.select(columns.id, columns.key, own)
            .where(columns.id > sa.bindparam("after"))
            .order_by(columns.id)
            .limit(sa.bindparam("count", type_=sa.Integer))
        )
        self._whole = sa.select(table).where(columns.id.in_(_values("values")))
        self._clear = sa.delete(table).where(columns.id.in_(_values("values")))
        self._begun = columns.error_type == BEING_SENT

    def probe(self, connection: sa.Connection) -> None:
        """Read no rows, but all columns; raise an error if they cannot be read."""
        connection.execute(sa.select(self.table).limit(0)).close()

    def page(
        self, connection: sa.Connection, after: str, count: int
    ) -> tuple[dict[str, PrimaryKey | None], str]:
        """Return the keys of the *count* entries after the one with this ``id``.

        Those of other models count, and are left out. Also return the ``id`` of the
        last one, which is empty if there are no more.
        """
        params = {"after": after, "count": count}
        rows = connection.execute(self._page, params).all()
        last = rows[-1].id if len(rows) == count else ""
        return self.keys_of(row for row in rows if row.own), last

    def states(self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]) -> States:
        """Return the states of those of *keys* whose signals have failed."""
        if not keys:
            return {}
        if self.has_numbers:
            return self._states_by_number(connection, keys)
        if connection.execute(self._any).first() is None:
            return {}
        by_id = {self.identify(key): key for key in keys}
        return {
            by_id[entry_id]: state
            for entry_id, state in self._execute(connection, self._of_ids, by_id)
        }

    def are_parked(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> bool:
        """Return whether all signals with *keys*, which are a range, are parked.

        It compares the raw values of the driver, since there may be very many.
        """
        count = len(keys) + 1
        rows = self._parked_in_range.rows(connection, keys[0][0], keys[-1][0], count)
        return rows == keys

    def read(
        self, connection: sa.Connection, keys: t.Iterable[PrimaryKey]
    ) -> dict[PrimaryKey, Failure]:
        """Return everything known about those of *keys* whose signals have failed."""
        by_id = {self.identify(key): key for key in keys}
        return {
            by_id[row.id]: self.failure(row, by_id[row.id])
            for row in self._execute(connection, self._whole, by_id)
        }

    def begun_by(
        self, connection: sa.Connection, begun_by: t.Sequence[str]
    ) -> dict[PrimaryKey, Failure]:
        """Return the entries of the attempts that one of *begun_by* has begun."""
        texts = [text_of(by) for by in begun_by]
        begun = self.is_own & self._begun & self.table.c.error_text.in_(texts)
        rows = connection.execute(sa.select(self.table).where(begun)).all()
        return {
            key: self.failure(row, key)
            for row, key in zip(rows, self.keys_of(rows).values(), strict=True)
            if key is not None
        }

    def cancel(self, connection: sa.Connection, key: PrimaryKey, by: str) -> bool:
        """Delete the entry of the attempt that *by* has begun, if it is still there."""
        columns = self.table.c
        same = (columns.id == self.identify(key)) & (columns.error_text == text_of(by))
        delete = sa.delete(self.table).where(same, self._begun)
        return connection.execute(delete).rowcount > 0

    def write(self, connection: sa.Connection, failures: t.Iterable[Failure]) -> None:
        """Write *failures*, replacing the earlier entries of these signals."""
        rows = [self._row(failure, connection.dialect) for failure in failures]
        if rows:
            self.delete(connection, [row["id"] for row in rows])
            try:
                connection.execute(sa.insert(self.table), rows)
            except UnicodeEncodeError:  # the connection does not have all characters
                self.delete(connection, [row["id"] for row in rows])
                connection.execute(sa.insert(self.table), list(map(_in_ascii, rows)))

    def clear(self, connection: sa.Connection, keys: t.Iterable[PrimaryKey]) -> int:
        """Delete the entries of the signals with *keys*; return how many there were."""
        return self.delete(connection, [self.identify(key) for key in keys])

    def identify(self, key: PrimaryKey) -> str:
        """Return the ``id`` of the entry of the signal with this *key*."""
        return _keys.identify(self.declaration, key)

    def failure(self, row: sa.Row[t.Any], key: PrimaryKey) -> Failure:
        """Return the failure in a *row* of the table, of the signal with this *key*."""
        next_attempt_at = row.next_attempt_at
        return Failure(
            model=self.declaration.model,
            key=key,
            attempts=row.attempts,
            first_failed_at=clock.as_utc(row.first_failed_at),
            last_failed_at=clock.as_utc(row.last_failed_at),
            next_attempt_at=next_attempt_at and clock.as_utc(next_attempt_at),
            error_type=row.error_type,
            error_text=row.error_text,
        )

    def keys_of(self, rows: t.Iterable[t.Any]) -> dict[str, PrimaryKey | None]:
        """Return the keys in *rows* of entries, by their ``id``.

        ``None`` for a key that the model cannot have.
        """
        return {row.id: _keys.from_json(self.declaration, row.key) for row in rows}

    def _states_by_number(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> States:
        """Read the states by a range if the keys form one, as those of a scan do."""
        rows = self._rows_in_range(connection, keys)
        if rows is None:
            numbers = [number for (number,) in keys]
            rows = list(self._execute(connection, self._of_numbers, numbers))
        if not rows:
            return {}
        states = {(number,): state for number, state in rows}
        asked = set(keys)
        return {key: states[key] for key in states if key in asked}

    def _rows_in_range(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> t.Sequence[t.Any] | None:
        """Read a range; return ``None`` if it has far more rows than *keys*."""
        if sorted(keys) != list(keys):
            return None
        count = 2 * len(keys) + 1
        rows = self._in_range.rows(connection, keys[0][0], keys[-1][0], count)
        return rows if len(rows) < count else None

    def _row(self, failure: Failure, dialect: sa.Dialect) -> dict[str, t.Any]:
        return {
            "id": self.identify(failure.key),
            "table_name": self._name,
            "model": self.declaration.model.__name__,
            "key": _keys.as_json(self.declaration, failure.key),
            "number": failure.key[0] if self.has_numbers else None,
            "attempts": failure.attempts,
            "first_failed_at": clock.as_stored(failure.first_failed_at, dialect),
            "last_failed_at": clock.as_stored(failure.last_failed_at, dialect),
            "next_attempt_at": clock.as_stored(failure.next_attempt_at, dialect),
            "error_type": failure.error_type,
            "error_text": failure.error_text,
        }

    def delete(self, connection: sa.Connection, ids: t.Sequence[str]) -> int:
        """Delete the entries with these *ids*; return how many there were."""
        return sum(
            connection.execute(self._clear, {"values": some}).rowcount
            for some in _slices(ids)
        )

    @staticmethod
    def _execute(
        connection: sa.Connection, statement: sa.Executable, values: t.Iterable[t.Any]
    ) -> t.Iterator[t.Any]:
        for some in _slices(list(values)):
            yield from connection.execute(statement, {"values": some}).all()


def _in_ascii(row: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return *row* with an error text in ASCII, which any connection can transmit."""
    error = {
        name: row[name].encode("ascii", "backslashreplace").decode()[:length]
        for name, length in (("error_type", MAX_TYPE), ("error_text", MAX_TEXT))
    }
    return {**row, **error}


def _values(name: str) -> sa.BindParameter[t.Any]:
    return sa.bindparam(name, expanding=True)


def _slices(values: t.Sequence[t.Any]) -> t.Iterator[t.Sequence[t.Any]]:
    for start in range(0, len(values), MAX_VALUES):
        yield values[start : start + MAX_VALUES]
