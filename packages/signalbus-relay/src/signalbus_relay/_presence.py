"""The presence of a relay in a database: its row, and those of relays that are gone."""

from __future__ import annotations

import threading
import time
import typing as t

import sqlalchemy.exc as sa_exc
from signalbus.exceptions import describe_error
from signalbus.logs import get_logger
from signalbus.retry import is_outage
from signalbus.tables import find_table

from signalbus_relay._attempts import settle_gone
from signalbus_relay._row import RelayRow
from signalbus_relay._table import NAME

if t.TYPE_CHECKING:
    import datetime as dt

    from flask import Flask
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

    from signalbus_relay._row import Other

logger = get_logger("signalbus.relay")

#: How often it is logged that the table cannot be used, in seconds.
REMINDER_INTERVAL: t.Final = 600.0

Models: t.TypeAlias = "t.Collection[SignalModel]"


class Relay(t.Protocol):
    """The relay that is present."""

    relay_id: str

    def describe(self, models: Models) -> str:
        """Return what the row says of *models*."""

    def is_alive(self, relay_id: str) -> bool:
        """Return whether a relay is in this process."""

    def log_gone(self, other: Other, *, is_late: bool) -> None:
        """Log that a relay is gone."""


class Presence:
    """The row of one relay in one database.

    A database that is down, or that lacks the table, does not stop the relay: the row
    is written when that is possible again. If a database hangs, only the threads that
    send its own signals wait.
    """

    def __init__(
        self, relay: Relay, app: Flask, bus: SignalBus, bind_key: str | None
    ) -> None:
        self._relay = relay
        self._app = app
        self._bus = bus
        self._bind_key = bind_key
        #: The row, once it was possible to write it.
        self._row: RelayRow | None = None
        self._models: Models = ()
        #: The relays that the next heartbeat must check, and the one last seen.
        self._doubtful: dict[str, dt.datetime] = {}
        self._is_careful = False
        self._has_begun = threading.Event()
        self._has_ended = False
        self._logged_at = -REMINDER_INTERVAL
        #: Held while the row is written, by the thread of a heartbeat or another one.
        self._lock = threading.Lock()

    @property
    def is_busy(self) -> bool:
        """Whether the row is being written, which may hang."""
        return self._lock.locked() or not self._has_begun.is_set()

    def begin(self, models: Models) -> None:
        """Write the row, and look for relays that have ended without deleting theirs.

        Their rows are deleted.
        """
        try:
            with self._app.app_context(), self._lock:
                self._is_careful = self._begin(models)
        finally:
            self._has_begun.set()

    def must_be_careful(self) -> bool:
        """Wait until it has begun, and return whether a relay may have ended uncleanly.

        Of several relays that start together, the one that has deleted its row finds
        out. Also ``True`` if the database could not be asked, or if a relay of a host
        with this name may have ended, or not.
        """
        self._has_begun.wait()
        return self._is_careful

    def release(self) -> None:
        """Release all waiting callers."""
        self._has_begun.set()

    def beat(self, models: Models) -> None:
        """Write the heartbeat, and the state of *models*."""
        with self._app.app_context(), self._lock:
            if self._has_ended:
                return
            if self._row is None:
                self._begin(models)
                return
            self._models = models
            self._try(self._write)
            if self._doubtful:
                self._try(self._look_again)

    def write(self) -> None:
        """Write the changes, in this thread."""
        with self._app.app_context(), self._lock:
            if self._row is not None and not self._has_ended:
                self._try(self._write)

    def end(self) -> None:
        """Delete the row."""
        self._has_ended = True
        with self._app.app_context(), self._lock:
            if self._row is not None:
                self._try(self._row.delete)

    def _begin(self, models: Models) -> bool:
        """Write the first row; return whether to be careful."""
        answer: list[bool] = []
        is_known = self._try(lambda: answer.append(self._look(models)))
        return answer[0] if answer else not is_known

    def _look(self, models: Models) -> bool:
        metadata = self._bus.declaration(next(iter(models))).table.metadata
        table = find_table(metadata, NAME)
        if table is None:
            return False
        engine = self._bus.db.engines[self._bind_key]
        row = RelayRow(engine, table, self._relay.relay_id)
        row.write(self._relay.describe(models))
        others = row.find_others(self._relay.is_alive)
        removed = self._remove(row, models, others.gone)
        self._row, self._models = row, models
        self._doubtful = {other.id: other.heartbeat_at for other in others.doubtful}
        for other in removed:
            self._relay.log_gone(other, is_late=False)
        return bool(removed or others.doubtful)

    def _look_again(self) -> None:
        """Check the relays of which it was not known whether they are alive.

        A relay that is alive has had a heartbeat, or has deleted its row.
        """
        row = t.cast("RelayRow", self._row)
        others = row.find_others(self._relay.is_alive)
        gone = [other for other in others.gone if other.id in self._doubtful]
        removed = self._remove(row, self._models, gone)
        self._doubtful = {
            other.id: other.heartbeat_at
            for other in others.doubtful
            if self._doubtful.get(other.id) == other.heartbeat_at
        }
        for other in removed:
            self._relay.log_gone(other, is_late=True)

    def _remove(
        self, row: RelayRow, models: Models, gone: t.Sequence[Other]
    ) -> list[Other]:
        """Delete the rows of relays that are gone, and return those still there."""
        if gone:
            # Before their rows go: if this process ends here, the next one does it.
            settle_gone(self._bus, models, [other.id for other in gone])
        return [other for other in gone if row.remove(other)]

    def _write(self) -> None:
        t.cast("RelayRow", self._row).write(self._relay.describe(self._models))

    def _try(self, function: t.Callable[[], object]) -> bool:
        """Call *function*; return whether the database could be asked at all."""
        try:
            function()
        except sa_exc.TimeoutError:  # the pool has no connection
            return False
        except sa_exc.SQLAlchemyError as error:
            if is_outage(error):  # which the lanes report
                return False
            self._report_unusable(error)
        except Exception as error:  # noqa: BLE001 the relay goes on without its row
            logger.error("The relay cannot write its row: %s", describe_error(error))  # noqa: TRY400 one line
        return True

    def _report_unusable(self, error: Exception) -> None:
        """Log that the table cannot be used, once in ten minutes."""
        now = time.monotonic()
        if now - self._logged_at < REMINDER_INTERVAL:
            return
        self._logged_at = now
        logger.error(
            "The table signalbus_relay%s cannot be used: %s. Run `flask db migrate` and"
            " `flask db upgrade`, or call db.create_all(). If it exists, grant SELECT,"
            " INSERT, UPDATE and DELETE on it. Until then, nobody can see that this"
            " relay is running, and a signal that ends its process is not found.",
            "" if self._bind_key is None else f" in the database {self._bind_key!r}",
            describe_error(error),
        )
