"""The state that this distribution keeps for each bus in this process."""

from __future__ import annotations

import contextlib
import threading
import time
import typing as t
import weakref

import sqlalchemy as sa
import sqlalchemy.exc as sa_exc
from signalbus.exceptions import describe_error
from signalbus.logs import get_logger
from signalbus.rows import SignalRows
from signalbus.tables import find_table

from signalbus_retry._entries import Entries
from signalbus_retry._errors import is_passing
from signalbus_retry._sweep import Sweeper
from signalbus_retry._table import NAME

if t.TYPE_CHECKING:
    import datetime as dt

    from signalbus.typing import Bus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

    from signalbus_retry._entries import States

logger = get_logger("signalbus.retry")

#: How often it is logged that the table cannot be used, in seconds.
REMINDER_INTERVAL: t.Final = 600.0


class ModelAttempts:
    """The attempts of one model that are recorded before they are made."""

    def __init__(self) -> None:
        #: Whether flushes skip signals whose process ended during the last attempt,
        #: since those are sent one at a time.
        self.are_written_first = False
        #: The signals that are being sent in this way, and by which threads.
        self.current: dict[PrimaryKey, int] = {}
        self._suspects: dict[PrimaryKey, None] = {}

    def is_making(self, key: PrimaryKey) -> bool:
        """Return whether this thread is making an attempt to send the signal."""
        return self.current.get(key) == threading.get_ident()

    @contextlib.contextmanager
    def making(self, key: PrimaryKey) -> t.Iterator[None]:
        """Let flushes of this thread send a signal whose attempt has begun."""
        self.current[key] = threading.get_ident()
        try:
            yield
        finally:
            del self.current[key]

    def note(self, keys: t.Iterable[PrimaryKey]) -> None:
        """Note signals that are due and whose process ended during the last attempt."""
        self._suspects.update(dict.fromkeys(keys))

    def take_suspects(self) -> list[PrimaryKey]:
        """Return the signals that were noted since the last call."""
        suspects, self._suspects = self._suspects, {}
        return list(suspects)


class Memory:
    """The state that is kept about the entries of one bus."""

    def __init__(self) -> None:
        #: What a flush has read under its locks, for the same transaction.
        self.states: weakref.WeakKeyDictionary[sa.Transaction, States] = (
            weakref.WeakKeyDictionary()
        )
        #: When failures were last written, on each connection.
        self.written: weakref.WeakKeyDictionary[sa.Connection, dt.datetime] = (
            weakref.WeakKeyDictionary()
        )
        self._sweeper = Sweeper()
        self._attempts: dict[SignalModel, ModelAttempts] = {}
        self._entries: dict[SignalModel, Entries | None] = {}
        self._usable: weakref.WeakSet[sa.Engine] = weakref.WeakSet()
        self._logged: weakref.WeakKeyDictionary[sa.Engine, float] = (
            weakref.WeakKeyDictionary()
        )

    def entries(self, bus: Bus, model: SignalModel) -> Entries | None:
        """Return the entries of *model*; ``None`` if its metadata has no table."""
        if model not in self._entries:
            declaration = bus.declaration(model)
            table = find_table(declaration.table.metadata, NAME)
            if table is None:
                return None
            self._entries[model] = Entries(declaration, table)
        return self._entries[model]

    def attempts(self, model: SignalModel) -> ModelAttempts:
        """Return the attempts of *model* that are recorded in advance."""
        attempts = self._attempts.get(model)
        return attempts or self._attempts.setdefault(model, ModelAttempts())

    def usable_entries(
        self, bus: Bus, model: SignalModel, connection: sa.Connection
    ) -> Entries | None:
        """Return the entries of *model*, if the database is known to have the table."""
        is_usable = connection.engine in self._usable
        return self.entries(bus, model) if is_usable else None

    def prepare(
        self, bus: Bus, model: SignalModel, connection: sa.Connection
    ) -> Entries | None:
        """Return the entries of *model*, after a look for those of signals gone.

        ``None`` if the database does not have the table, which is logged; it is asked
        until it has it.

        :raises SQLAlchemyError: if the database is down.
        """
        entries = self.entries(bus, model)
        if entries is None:
            return None
        try:
            if connection.engine not in self._usable:
                entries.probe(connection)
                self._usable.add(connection.engine)
            self._sweep(entries, connection, SignalRows(bus, model))
        except sa_exc.DBAPIError as error:
            if is_passing(error):
                raise
            self.report_unusable(entries, connection, error)
            return None
        return entries

    def _sweep(
        self, entries: Entries, connection: sa.Connection, rows: SignalRows
    ) -> None:
        """Delete entries of signals that are gone. Errors do not stop the flush."""
        try:
            self._sweeper.sweep_if_due(connection, entries, rows)
        except sa_exc.DBAPIError as error:
            if is_passing(error):
                raise
            connection.rollback()
            entries.probe(connection)  # raises if it is the table that is missing
            logger.error(  # noqa: TRY400 the traceback has the values of parameters
                "The failures of signals of %s that are gone could not be deleted: %s",
                entries.declaration.model.__name__,
                describe_error(error),
            )

    def report_unusable(
        self, entries: Entries, connection: sa.Connection, error: Exception
    ) -> None:
        """Log that the table cannot be read or written, once in ten minutes.

        The database is asked again whether it has the table.
        """
        engine, bind_key = connection.engine, entries.declaration.bind_key
        self._usable.discard(engine)
        now = time.monotonic()
        if now - self._logged.get(engine, -REMINDER_INTERVAL) < REMINDER_INTERVAL:
            return
        self._logged[engine] = now
        logger.error(
            "The table signalbus_failure%s cannot be used: %s. Run `flask db migrate`"
            " and `flask db upgrade`, or call db.create_all(). If it exists, grant"
            " SELECT, INSERT and DELETE on it. Until then, failed signals do not wait,"
            " are not counted and are not parked: each flush tries them again.",
            "" if bind_key is None else f" in the database {bind_key!r}",
            describe_error(error),
        )


#: The attribute by which a bus holds its memory. The memory has models, which lead to
#: the bus: no table of ours could hold it without keeping the bus alive for ever.
_ATTRIBUTE: t.Final = "_signalbus_retry"


def memory_of(bus: Bus) -> Memory:
    """Return the state that is kept for *bus*."""
    memory: Memory | None = vars(bus).get(_ATTRIBUTE)
    if memory is None:
        memory = vars(bus).setdefault(_ATTRIBUTE, Memory())
    return memory
