"""What was recorded, and what is left: read from the database, past all faults."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import typing as t

import sqlalchemy as sa

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: How the number of a signal ends that can never be sent.
POISON: t.Final = "poison"

#: The signal models, and their tables.
TABLES: t.Final = {"Posted": "posted", "Ordered": "ordered", "Filed": "filed"}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A signal that was committed."""

    model: str
    key: str | None
    position: int


@dataclasses.dataclass(frozen=True)
class Books:
    """All that is known of the signals of a scenario.

    :ivar entries: those that were committed, by number.
    :ivar confirmed: those whose commit the database has confirmed to the writer.
    :ivar pending: those that are still there, and will be sent.
    :ivar parked: those that are still there, and wait for a person.
    :ivar orphans: how many entries of failures belong to no signal.
    """

    entries: dict[str, Entry]
    confirmed: set[str]
    pending: set[str]
    parked: set[str]
    orphans: int


def is_poison(number: str) -> bool:
    """Return whether a signal can never be sent."""
    return number.endswith(POISON)


class Bookkeeper:
    """Reads the books of a scenario.

    :param url: where the database is, past the proxy.
    :param committed: the file in which writers confirm their commits.
    """

    def __init__(self, url: str, committed: Path) -> None:
        self._url = url
        self._committed = committed

    def pending(self) -> set[str]:
        """Return the signals that were neither sent nor parked so far."""
        with self._connect() as connection:
            return {
                number for pending, _, _ in _leftovers(connection) for number in pending
            }

    def read(self) -> Books:
        """Read everything."""
        with self._connect() as connection:
            rows = _select(connection, "entry", "number", "model", "key", "position")
            leftovers = list(_leftovers(connection))
        entries = {
            number: Entry(model, key, position or 0)
            for number, model, key, position in rows
        }
        return Books(
            entries=entries,
            confirmed=set(self._committed.read_text("ascii").split()),
            pending={number for left, _, _ in leftovers for number in left},
            parked={number for _, parked, _ in leftovers for number in parked},
            orphans=sum(orphans for _, _, orphans in leftovers),
        )

    @contextlib.contextmanager
    def _connect(self) -> Iterator[sa.Connection]:
        engine = sa.create_engine(self._url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            yield connection


def _select(connection: sa.Connection, table: str, *columns: str) -> list[t.Any]:
    names: list[sa.ColumnClause[t.Any]] = [sa.column(name) for name in columns]
    return list(connection.execute(sa.select(*names).select_from(sa.table(table))))


def _failures(connection: sa.Connection) -> list[t.Any]:
    """Return what is known of signals that failed: nothing, where nobody writes it."""
    table = "signalbus_failure"
    if not sa.inspect(connection).has_table(table):
        return []
    return _select(connection, table, "model", "key", "next_attempt_at")


def _leftovers(
    connection: sa.Connection,
) -> Iterator[tuple[set[str], set[str], int]]:
    """Yield, for each model, what is pending, what is parked, and how many orphans."""
    failures = _failures(connection)
    for model, table in TABLES.items():
        numbers = dict(_select(connection, table, "id", "number"))
        own = {
            json.loads(key)[0]: next_attempt
            for name, key, next_attempt in failures
            if name == model
        }
        parked = {key for key, next_attempt in own.items() if next_attempt is None}
        yield (
            {number for key, number in numbers.items() if key not in parked},
            {number for key, number in numbers.items() if key in parked},
            len(own.keys() - numbers.keys()),
        )
