"""What a relay says about itself in its databases, while it is running."""

from __future__ import annotations

import collections
import contextlib
import functools
import json
import logging
import threading
import time
import typing as t
import weakref

import sqlalchemy.exc as sa_exc
from signalbus.exceptions import describe_error
from signalbus.exceptions import escape_controls
from signalbus.retry import is_outage
from signalbus.tables import find_table

from signalbus_relay._attempts import settle_gone
from signalbus_relay._counts import Counts
from signalbus_relay._row import RelayRow
from signalbus_relay._table import NAME

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus import SignalBus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

    from signalbus_relay._row import Other

logger = logging.getLogger("signalbus.relay")

#: How often it is logged that the table cannot be used, in seconds.
REMINDER_INTERVAL: t.Final = 600.0

#: How long the end of a relay waits for its databases, in seconds.
_END_TIMEOUT: t.Final = 3.0

#: What the JSON of a model has while one of its signals is sent by itself.
SENDING: t.Final = "sending"

Models: t.TypeAlias = "t.Collection[SignalModel]"


class Status:
    """The rows of one relay: one in each database that has models of it.

    A database that is down, or that does not have the table, does not keep the relay
    from its work: its row is written when that is possible again.

    :param relay_id: up to 32 characters that no other relay has ever had.
    """

    def __init__(self, app: Flask, bus: SignalBus, relay_id: str) -> None:
        self.relay_id = relay_id
        self._app = app
        self._bus = bus
        #: By database; one is here once it was possible to write there.
        self._rows: dict[str | None, RelayRow] = {}
        self._models: dict[str | None, Models] = {}
        self._counts = Counts()
        self._sending: dict[SignalModel, str] = {}
        self._logged: dict[str | None, float] = {}
        #: The relays that are gone and have been named in the log.
        self._named: set[str] = set()
        self._has_ended = False
        #: Held while rows are written: by the thread of a heartbeat, or another one.
        self._lock = threading.Lock()

    def begin(self, models: Models) -> bool:
        """Write the rows, and look for relays that have ended without deleting theirs.

        Their rows are deleted. Returns whether this one has deleted any, so that of
        several relays that start together, one finds out; also ``True`` if a database
        could not be asked.
        """
        _alive[self.relay_id] = self
        _by_bus[self._bus] = self
        with self._app.app_context(), self._lock:
            answers = [self._begin(bind, of) for bind, of in self._binds(models)]
        return any(answers)

    def beat(self, models: Models, counts: Counts) -> None:
        """Write the heartbeat and *counts*, in a thread of its own.

        Returns at once. If the last one hangs, nothing is done.
        """
        if self._lock.locked():
            return
        self._counts = counts
        _start(self._beat, list(models))

    def end(self) -> None:
        """Delete the rows: the relay has ended as it should.

        A database that does not answer within a few seconds keeps its row. To the next
        relay, this one is gone.
        """
        self._has_ended = True
        _alive.pop(self.relay_id, None)
        if _by_bus.get(self._bus) is self:
            del _by_bus[self._bus]
        _start(self._end).join(_END_TIMEOUT)

    @contextlib.contextmanager
    def sending(self, model: SignalModel, key: PrimaryKey) -> t.Iterator[None]:
        """Let the row say which signal is being sent, in case it ends the process."""
        self._sending[model] = self._bus.declaration(model).describe(key)
        self._write_now(model)
        try:
            yield
        except Exception:
            self._sent(model)
            raise
        self._sent(model)  # not after what ends the process, such as SystemExit

    def _beat(self, models: Models) -> None:
        with self._app.app_context(), self._lock:
            for bind, of in self._binds(models) if not self._has_ended else ():
                if bind in self._rows:
                    self._models[bind] = of
                    self._try(bind, functools.partial(self._write, bind))
                else:
                    self._begin(bind, of)

    def _end(self) -> None:
        with self._app.app_context(), self._lock:
            for bind, row in self._rows.items():
                self._try(bind, row.delete)

    def _begin(self, bind: str | None, models: Models) -> bool:
        """Write the first row in a database, and look for relays that are gone."""
        answer: list[bool] = []
        is_known = self._try(bind, lambda: answer.append(self._look(bind, models)))
        return answer[0] if answer else not is_known

    def _look(self, bind: str | None, models: Models) -> bool:
        """Write the first row; whether the relay before this one ended uncleanly."""
        metadata = self._bus.declaration(next(iter(models))).table.metadata
        table = find_table(metadata, NAME)
        if table is None:
            return False
        row = RelayRow(self._bus.db.engines[bind], table, self.relay_id)
        row.write(self._json(models))
        gone = row.gone(_alive)
        if gone:
            # Before their rows go: if this process ends here, the next one does it.
            settle_gone(self._bus, models, [other.id for other in gone])
        removed = [other for other in gone if row.remove(other)]
        self._rows[bind], self._models[bind] = row, models
        for other in removed:
            self._log_gone(other)
        return bool(removed)

    def _write(self, bind: str | None) -> None:
        self._rows[bind].write(self._json(self._models[bind]))

    def _sent(self, model: SignalModel) -> None:
        del self._sending[model]
        self._write_now(model)

    def _write_now(self, model: SignalModel) -> None:
        """Write the row of the database of *model*, in this thread."""
        bind = self._bus.declaration(model).bind_key
        with self._app.app_context(), self._lock:
            if bind in self._rows and not self._has_ended:
                self._try(bind, functools.partial(self._write, bind))

    def _binds(self, models: Models) -> list[tuple[str | None, list[SignalModel]]]:
        """Return *models* by the database that they are in."""
        binds = collections.defaultdict(list)
        for model in models:
            binds[self._bus.declaration(model).bind_key].append(model)
        return list(binds.items())

    def _json(self, models: Models) -> str:
        """Return what the row says of *models*."""
        names = collections.Counter(model.__name__ for model in models)
        document = {}
        for model in models:
            is_ambiguous = names[model.__name__] > 1
            name = (
                f"{model.__module__}.{model.__name__}"
                if is_ambiguous
                else model.__name__
            )
            document[name] = self._counts.of(model).as_json()
            if model in self._sending:
                document[name][SENDING] = self._sending[model]
        return json.dumps(document)

    def _try(self, bind: str | None, function: t.Callable[[], object]) -> bool:
        """Call *function*; return whether its database could be asked at all."""
        try:
            function()
        except sa_exc.TimeoutError:  # the pool has no connection
            return False
        except sa_exc.SQLAlchemyError as error:
            if is_outage(error):  # which the lanes report
                return False
            self._report_unusable(bind, error)
        return True

    def _report_unusable(self, bind: str | None, error: Exception) -> None:
        """Log that the table cannot be used, once in ten minutes."""
        now = time.monotonic()
        if now - self._logged.get(bind, -REMINDER_INTERVAL) < REMINDER_INTERVAL:
            return
        self._logged[bind] = now
        logger.error(
            "The table signalbus_relay%s cannot be used: %s. Run `flask db migrate` and"
            " `flask db upgrade`, or call db.create_all(). If it exists, grant SELECT,"
            " INSERT, UPDATE and DELETE on it. Until then, nobody can see that this"
            " relay is running, and a signal that ends its process is not found.",
            "" if bind is None else f" in the database {bind!r}",
            describe_error(error),
        )

    def _log_gone(self, other: Other) -> None:
        """Log that a relay is gone, once for all databases, and what it was sending."""
        if other.id not in self._named:
            self._named.add(other.id)
            logger.warning(
                "%s did not end as it should. The first signals of each model are sent"
                " one at a time.",
                _describe(other),
            )
        for name in _names_being_sent(other):
            logger.error(
                "%s ended while it was sending %s. If that signal ends the process,"
                " delete its row, or install signalbus-retry, which parks such"
                " signals.",
                _describe(other),
                escape_controls(name),
            )


def status_on(bus: SignalBus) -> Status | None:
    """Return the status of the relay that is running on *bus*, if there is one."""
    return _by_bus.get(bus)


def _describe(other: Other) -> str:
    host, since = escape_controls(other.host), f"{other.started_at:%Y-%m-%d %H:%M:%S}"
    return f"The relay of process {other.process} on host {host} (since {since} UTC)"


def _names_being_sent(other: Other) -> list[str]:
    try:
        document = json.loads(other.models)
        return [str(each[SENDING]) for each in document.values() if SENDING in each]
    except (AttributeError, TypeError, ValueError):  # of another version
        return []


def _start(function: t.Callable[..., object], *arguments: object) -> threading.Thread:
    thread = threading.Thread(
        target=function, args=arguments, name="signalbus-status", daemon=True
    )
    thread.start()
    return thread


#: The relays of this process.
_alive: weakref.WeakValueDictionary[str, Status] = weakref.WeakValueDictionary()
_by_bus: weakref.WeakKeyDictionary[SignalBus, Status] = weakref.WeakKeyDictionary()
