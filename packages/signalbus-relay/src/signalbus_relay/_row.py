"""The row of one relay in one database, and those of relays that are gone."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import os
import socket
import typing as t
from pathlib import Path

import sqlalchemy as sa
from signalbus import clock
from signalbus.retry import call_repeatedly
from signalbus.retry import is_race

from signalbus_relay._connections import autocommit

R = t.TypeVar("R")

#: After how long without a heartbeat a relay is gone.
SILENCE: t.Final = dt.timedelta(seconds=90)

#: How often a statement that loses a race is tried. On SQLite, any writer may win.
_TRIES: t.Final = 5


@dataclasses.dataclass(frozen=True)
class Other:
    """The row of another relay."""

    id: str
    host: str
    process: int
    started_at: dt.datetime
    heartbeat_at: dt.datetime
    models: str

    namespace: str | None = None

    def is_gone(self, now: dt.datetime) -> bool:
        """Return whether the relay has ended without deleting its row.

        That is certain if its process would have to be here and is not, unless its
        number was used again. Others are known by their silence.
        """
        if now - self.heartbeat_at > SILENCE:
            return True
        if not self._is_here():
            return False
        return self.process == os.getpid() or not _is_running(self.process)

    def is_doubtful(self, now: dt.datetime) -> bool:
        """Return whether this relay may have replaced that one.

        A container that is restarted keeps its name, but two that run side by side may
        have the same name, too. Only the next heartbeat tells the difference.
        """
        is_namesake = self.host == host_name() and not self._is_here()
        return is_namesake and not self.is_gone(now)

    def _is_here(self) -> bool:
        """Return whether its process would be among those that can be seen here."""
        is_same = self.namespace in {None, process_namespace()}
        return self.host == host_name() and is_same


@dataclasses.dataclass(frozen=True)
class Others:
    """The other relays that are not known to be alive."""

    gone: t.Sequence[Other]
    doubtful: t.Sequence[Other]


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
                    namespace=process_namespace(),
                    started_at=now,
                    **values,
                )
                connection.execute(insert)

        self._do(write)

    def delete(self) -> None:
        """Delete the row."""
        is_own = self._table.c.id == self._id
        self._do(lambda connection: connection.execute(self._delete.where(is_own)))

    def find_others(self, is_alive: t.Callable[[str], bool]) -> Others:
        """Return the relays that are not known to be alive.

        :param is_alive: returns whether a relay is in this process.
        """
        is_other = self._table.c.id != self._id

        def read(connection: sa.Connection) -> Others:
            now = clock.read(connection)
            rows = connection.execute(sa.select(self._table).where(is_other)).all()
            others = [other_of(row) for row in rows if not is_alive(row.id)]
            return Others(
                [other for other in others if other.is_gone(now)],
                [other for other in others if other.is_doubtful(now)],
            )

        return self._do(read)

    def remove(self, other: Other) -> bool:
        """Delete the row of a relay that is gone; return whether it still existed."""
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


def process_namespace() -> str | None:
    """Return what tells apart processes that have one number on hosts of one name.

    That is the boot of the machine, and the namespace of processes, in which no two at
    a time have one number; ``None`` where there are none.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def other_of(row: sa.Row[t.Any]) -> Other:
    """Return a row of the table as an object."""
    return Other(
        id=row.id,
        host=row.host,
        process=row.process,
        namespace=row.namespace,
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
