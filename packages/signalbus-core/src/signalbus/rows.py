"""Access to the rows of a signal model by primary key, as a flush does it.

For plugins that keep records of signals and act on them later.
"""

from __future__ import annotations

import contextlib
import typing as t

from signalbus._delete import Deletion
from signalbus._free_queues import FreeQueues
from signalbus._lock_queues import wave_by_wave
from signalbus._sql import connections
from signalbus._sql import key_conditions
from signalbus._sql import missing_tables
from signalbus._table import SignalTables

if t.TYPE_CHECKING:
    import sqlalchemy as sa

    from signalbus._table import SignalTable
    from signalbus.typing import Bus
    from signalbus.typing import HeldBack
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

__all__ = ["SignalRows"]


class SignalRows:
    """Lock, read and delete rows of one signal model.

    Make one for each model and keep it, since it caches its statements. All methods
    must be called within an app context, and may be called from several threads.

    You may pass any number of keys, in any order; they are split over several
    statements if necessary. Duplicate keys count once, and keys without a row are
    skipped. Rows of models that inherit from *model* are not included. The keys that
    are returned have the values that the database has, in no particular order.

    All methods except :meth:`transaction`, :meth:`look` and :meth:`is_empty` take a
    connection to the model's database. It may be the one that a hook gets.

    :raises SignalModelError: if *model* is not a signal model, or is misdeclared. All
        methods raise it if the database cannot tell the model's rows apart.
    """

    def __init__(self, bus: Bus, model: SignalModel) -> None:
        self._bus = bus
        self._declaration = bus.declaration(model)
        self._tables = SignalTables()

    @contextlib.contextmanager
    def transaction(self) -> t.Iterator[sa.Connection]:
        """Begin a transaction like that of a flush, and yield its connection.

        A context manager. The transaction commits at the end, unless an error is
        raised. Its isolation level is READ COMMITTED; on SQLite, it begins with
        ``BEGIN IMMEDIATE``. It is independent of ``db.session``. It is not retried
        after a transient error of the database.

        :raises MissingTableError: if a table of the model is missing.
        """
        db, declaration = self._bus.db, self._declaration
        with (
            missing_tables.explaining(db, declaration),
            connections.connect(
                db, declaration, wait_for_disk=self._bus.synchronous_commit
            ) as connection,
            connections.transaction(connection),
        ):
            yield connection

    @contextlib.contextmanager
    def look(self) -> t.Iterator[sa.Connection]:
        """Open a connection for reading, and yield it.

        A context manager, for programs that poll. It begins no transaction on
        PostgreSQL, and blocks no writers on SQLite. The connection may be used for the
        rows of other models in the same database. It is not retried after a transient
        error of the database.

        :raises MissingTableError: if a table of the model is missing.
        """
        db, declaration = self._bus.db, self._declaration
        with (
            missing_tables.explaining(db, declaration),
            connections.connect_to_look(db, declaration) as connection,
        ):
            yield connection

    def is_empty(self) -> bool:
        """Return whether no signal is pending. Signals that are held back count, too.

        Reads one key, without locks, on a connection of its own. On PostgreSQL, there
        is no transaction, so the server gets this one statement only. For programs that
        poll. It is not retried after a transient error of the database.

        :raises MissingTableError: if a table of the model is missing.
        """
        with self.look() as connection:
            return not self.first(connection, 1)

    def count(self, connection: sa.Connection, limit: int) -> int:
        """Return how many signals are pending, up to *limit*.

        Signals that are held back count, too. Reads at most *limit* rows, without
        locks. If it returns *limit*, there may be more.
        """
        statements = self._table(connection).statements
        return connection.scalar(statements.pending_count_up_to(limit)) or 0

    def first(
        self, connection: sa.Connection, count: int, after: PrimaryKey | None = None
    ) -> list[PrimaryKey]:
        """Return the first *count* keys, in key order, without locking anything.

        :param after: the key after which to begin.
        """
        statements = self._table(connection).statements
        params: dict[str, t.Any] = {"burst_count": count}
        if after is None:
            return statements.read_keys(connection, statements.next_keys, params)
        params.update(key_conditions.after_params(after))
        return statements.read_keys(connection, statements.keys_after, params)

    def first_in_order(self, connection: sa.Connection, count: int) -> list[PrimaryKey]:
        """Return the first *count* keys in the order of ``signalbus_order_by``.

        Nothing is locked. Ties are broken by the primary key, which is also the order
        of a model without ``signalbus_order_by``.
        """
        statements = self._table(connection).statements
        select = statements.pending_keys_by(self._declaration.order_by).limit(count)
        return statements.read_keys(connection, select, {})

    def in_waves(
        self,
        connection: sa.Connection,
        keys: t.Sequence[PrimaryKey],
        held: HeldBack | None = None,
    ) -> list[PrimaryKey]:
        """Return the keys that a flush starting from *keys* may send, in wave order.

        For models with an ordering key; for all others, the list is empty. The first
        signal of each queue comes first, then the second of each, and so on. The list
        may include older signals of these queues, but no signal that waits behind one
        that is held back. Nothing is locked.

        :param held: the signals that are held back.
        """
        reader = self._table(connection).queues
        if reader is None:
            return []
        queues = FreeQueues(reader, held, ()).read(connection, keys, 0)
        free = [queue for queue in queues if queue]
        return wave_by_wave(free, sum(map(len, free)))

    def lock(
        self,
        connection: sa.Connection,
        keys: t.Iterable[PrimaryKey],
        *,
        wait: bool = True,
    ) -> list[PrimaryKey]:
        """Lock the rows with *keys*, and return the keys of those that exist.

        Waits for rows that others have locked, such as a flush that is sending them,
        as long as the database allows. Until the transaction ends, no flush sends the
        rows. On SQLite, a :meth:`transaction` locks the whole database.

        :param wait: whether to wait. Otherwise, rows that others have locked are
            skipped.
        :raises sqlalchemy.exc.OperationalError: if waiting takes too long, or if there
            is a deadlock.
        """
        statements = self._table(connection).statements
        locked = statements.lock(connection, _in_order(keys), wait=wait)
        return list(dict.fromkeys(locked))

    def present(
        self, connection: sa.Connection, keys: t.Iterable[PrimaryKey]
    ) -> list[PrimaryKey]:
        """Return those of *keys* that have a row, without locking anything."""
        statements = self._table(connection).statements
        return list(dict.fromkeys(statements.present(connection, _in_order(keys))))

    def read(
        self, connection: sa.Connection, keys: t.Iterable[PrimaryKey]
    ) -> dict[PrimaryKey, dict[str, t.Any]]:
        """Return the values of all columns, by primary key and attribute name.

        No instances are made, and nothing is locked. Inherited, deferred and computed
        columns are included.
        """
        return self._table(connection).statements.read(connection, _in_order(keys))

    def delete(self, connection: sa.Connection, keys: t.Iterable[PrimaryKey]) -> None:
        """Lock the rows with *keys*, as :meth:`lock` does, and delete them.

        They are deleted as after a burst: for models that need it, through a session,
        with cascades, listeners and version counters. No hook is called.

        :raises SignalBusError: if other rows than these were deleted. Roll back then.
        """
        locked = self.lock(connection, keys)
        Deletion(self._table(connection), connection).by_keys(locked)

    def _table(self, connection: sa.Connection) -> SignalTable:
        return self._tables.get(self._declaration, connection.dialect)


def _in_order(keys: t.Iterable[PrimaryKey]) -> list[PrimaryKey]:
    """Return *keys*, each once, and sorted if possible.

    Where each row is locked by its own statement, two callers that lock the same rows
    in different orders would wait for each other.
    """
    distinct = dict.fromkeys(map(tuple, keys))
    try:
        return sorted(distinct)
    except TypeError:  # not comparable
        return list(distinct)
