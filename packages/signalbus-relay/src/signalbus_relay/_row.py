"""The row of one relay in one database, and those of relays that are gone."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import os
import socket
import typing as t

import sqlalchemy as sa
from signalbus import clock
from signalbus.retry import call_repeatedly
from signalbus.retry import is_race

from signalbus_relay._connections import autocommit

R = t.TypeVar("R")

#: After how long without a heartbeat a relay is gone.
SILENCE: t.Final = dt.timedelta(seconds=90)

#: How often a statement is tried that loses a race: on SQLite, to any other writer.
_TRIES: t.Final = 5


@dataclasses.dataclass(frozen=True)
class Other:
    """What the row of another relay says."""

    id: str
    host: str
    process: int
    started_at: dt.datetime
    heartbeat_at: dt.datetime
    models: str

    def is_gone(self, now: dt.datetime) -> bool:
        """Return whether the relay has ended without deleting its row.

        On this host that is certain, unless its process has a number that was used
        again. On others it is known by its silence.
        """
        if self.host == host_name() and (
            self.process == os.getpid() or not _is_running(self.process)
        ):
            return True
        return now - self.heartbeat_at > SILENCE


class RelayRow:
    """The row of one relay in one database.

    All methods raise SQLAlchemy's errors.
    """

    def __init__(self, engine: sa.Engine, table: sa.Table, relay_id: str) -> None:
        self.engine = engine
        self._table = table
        self._id = relay_id

    def write(self, models: str) -> None:
        """Write the row, or what has changed: its heartbeat, and *models*."""
        if self.engine.dialect.name == "postgresql" and self._write_at_once(models):
            return

        def write(connection: sa.Connection) -> None:
            now = clock.as_stored(clock.read(connection), connection.dialect)
            values = {"heartbeat_at": now, "models": models}
            is_own = self._table.c.id == self._id
            update = sa.update(self._table).where(is_own).values(values)
            if not connection.execute(update).rowcount:
                insert = sa.insert(self._table).values(
                    id=self._id,
                    host=host_name(),
                    process=os.getpid(),
                    started_at=now,
                    **values,
                )
                connection.execute(insert)

        self._do(write)

    def delete(self) -> None:
        """Delete the row."""
        is_own = self._table.c.id == self._id
        self._do(lambda connection: connection.execute(self._delete.where(is_own)))

    def gone(self, alive: t.Container[str]) -> list[Other]:
        """Return the relays that have ended without deleting their rows.

        :param alive: the relays in this process.
        """
        is_other = self._table.c.id != self._id

        def read(connection: sa.Connection) -> list[Other]:
            now = clock.read(connection)
            rows = connection.execute(sa.select(self._table).where(is_other)).all()
            others = [_other(row) for row in rows if row.id not in alive]
            return [other for other in others if other.is_gone(now)]

        return self._do(read)

    def remove(self, other: Other) -> bool:
        """Delete the row of a relay that is gone; return whether nobody was quicker."""
        columns = self._table.c
        seen = clock.as_stored(other.heartbeat_at, self.engine.dialect)
        is_other = (columns.id == other.id) & (columns.heartbeat_at == seen)
        delete = self._delete.where(is_other)
        return self._do(lambda connection: connection.execute(delete).rowcount > 0)

    def _write_at_once(self, models: str) -> bool:
        """Write what has changed, if the row is there, by one statement on PostgreSQL.

        It would be four in a transaction, and an idle relay does little else.
        """
        values = {"heartbeat_at": clock.now(), "models": models}
        is_own = self._table.c.id == self._id
        update = sa.update(self._table).where(is_own).values(values)
        return self._do(lambda each: each.execute(update).rowcount > 0, autocommit)

    @property
    def _delete(self) -> sa.Delete:
        return sa.delete(self._table)

    def _do(
        self,
        function: t.Callable[[sa.Connection], R],
        connect: t.Callable[
            [sa.Engine], contextlib.AbstractContextManager[sa.Connection]
        ] = sa.Engine.begin,
    ) -> R:
        """Call *function* in a transaction, and again if that loses a race."""

        def attempt() -> R:
            with connect(self.engine) as connection:
                return function(connection)

        return call_repeatedly(attempt, _TRIES, is_race)


def host_name() -> str:
    """Return the name of this host, as far as the table has room for it."""
    return socket.gethostname()[:255]


def _other(row: sa.Row[t.Any]) -> Other:
    return Other(
        id=row.id,
        host=row.host,
        process=row.process,
        started_at=clock.as_utc(row.started_at),
        heartbeat_at=clock.as_utc(row.heartbeat_at),
        models=row.models,
    )


def _is_running(process: int) -> bool:
    """Return whether there is such a process; ``True`` where that cannot be asked."""
    if os.name == "nt":  # there, to ask would be to end it
        return True
    with contextlib.suppress(PermissionError, OverflowError):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True
