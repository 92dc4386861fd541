"""The rows of a signal model, by their keys, as a flush gets at them.

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

    Make it once for a model and keep it: it keeps its statements. All its methods must
    be called within an app context. They may be called from several threads.

    Pass any number of keys, in any order: as many statements are executed as are
    needed. A key that is given twice counts once, and one without a row is passed over.
    Rows of models that inherit from *model* are none of its rows. The keys that are
    returned have the values that the database has, in no particular order.

    All but :meth:`transaction` and :meth:`is_empty` take a connection to the model's
    database. It may be the one that a hook is given.

    :raises SignalModelError: if *model* is not a signal model, or is misdeclared; by
        all methods, if the database cannot tell its rows apart.
    """

    def __init__(self, bus: Bus, model: SignalModel) -> None:
        self._bus = bus
        self._declaration = bus.declaration(model)
        self._tables = SignalTables()

    @contextlib.contextmanager
    def transaction(self) -> t.Iterator[sa.Connection]:
        """Begin a transaction like a flush's, and give its connection.

        A context manager. The transaction commits at the end, unless an error is
        raised. It is at READ COMMITTED, or on SQLite a ``BEGIN IMMEDIATE``, and apart
        from ``db.session``. It is not tried again if the database fails in passing.

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

    def is_empty(self) -> bool:
        """Return whether no signal is pending, held back or not.

        Reads one key, without locks, on a connection of its own; on PostgreSQL without
        a transaction, so that the server gets this one statement. For programs that
        look again and again. It is not tried again if the database fails in passing.

        :raises MissingTableError: if a table of the model is missing.
        """
        db, declaration = self._bus.db, self._declaration
        with (
            missing_tables.explaining(db, declaration),
            connections.connect_to_look(db, declaration) as connection,
        ):
            return not self.first(connection, 1)

    def first(
        self, connection: sa.Connection, count: int, after: PrimaryKey | None = None
    ) -> list[PrimaryKey]:
        """Return the first *count* keys, in their order, without locking anything.

        :param after: the key behind which to begin.
        """
        statements = self._table(connection).statements
        params: dict[str, t.Any] = {"burst_count": count}
        if after is None:
            return statements.read_keys(connection, statements.next_keys, params)
        params.update(key_conditions.after_params(after))
        return statements.read_keys(connection, statements.keys_after, params)

    def first_in_order(self, connection: sa.Connection, count: int) -> list[PrimaryKey]:
        """Return the first *count* keys in the order of ``signalbus_order_by``.

        Nothing is locked. Where that order says nothing, it is that of the keys.
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
        """Return what a flush that meets *keys* may send, in the order of its waves.

        For a model with an ordering key; any other has no waves, and gets no keys. The
        first signal of each of the queues comes first, then the second of each, and so
        on. Older signals may be among them, and nothing that waits behind one that is
        held back. Nothing is locked.

        :param held: what is held back.
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
        for as long as the database does. Until the transaction ends, no flush sends the
        rows. On SQLite, a :meth:`transaction` has locked the whole database.

        :param wait: whether to wait; otherwise those rows are passed over.
        :raises sqlalchemy.exc.OperationalError: if the database gives up waiting, or
            finds a deadlock.
        """
        statements = self._table(connection).statements
        locked = statements.lock(connection, _in_order(keys), wait=wait)
        return list(dict.fromkeys(locked))

    def present(
        self, connection: sa.Connection, keys: t.Iterable[PrimaryKey]
    ) -> list[PrimaryKey]:
        """Return those of *keys* that have a row, without locking it."""
        statements = self._table(connection).statements
        return list(dict.fromkeys(statements.present(connection, _in_order(keys))))

    def read(
        self, connection: sa.Connection, keys: t.Iterable[PrimaryKey]
    ) -> dict[PrimaryKey, dict[str, t.Any]]:
        """Return the values of all columns, by key and by the names of the attributes.

        No instance is made, and nothing is locked. Inherited columns, deferred ones and
        those that are computed are among them.
        """
        return self._table(connection).statements.read(connection, _in_order(keys))

    def delete(self, connection: sa.Connection, keys: t.Iterable[PrimaryKey]) -> None:
        """Lock the rows with *keys*, as :meth:`lock` does, and delete them.

        As after a burst: models that need it are deleted through a session, with
        cascades, listeners and version counters. No hook is called.

        :raises SignalBusError: if other rows were deleted than those. Roll back then.
        """
        locked = self.lock(connection, keys)
        Deletion(self._table(connection), connection).by_keys(locked)

    def _table(self, connection: sa.Connection) -> SignalTable:
        return self._tables.get(self._declaration, connection.dialect)


def _in_order(keys: t.Iterable[PrimaryKey]) -> list[PrimaryKey]:
    """Return *keys*, each once, and sorted if possible.

    Where each row is locked by a statement of its own, two who lock the same rows in
    different orders would wait for each other.
    """
    distinct = dict.fromkeys(map(tuple, keys))
    try:
        return sorted(distinct)
    except TypeError:  # not comparable
        return list(distinct)
