"""The status of a running relay, which it writes to its databases."""

from __future__ import annotations

import collections
import contextlib
import json
import threading
import time
import typing as t
import weakref

from signalbus.exceptions import escape_controls
from signalbus.logs import get_logger

from signalbus_relay._counts import Counts
from signalbus_relay._presence import Presence

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus import SignalBus
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel

    from signalbus_relay._presence import Models
    from signalbus_relay._row import Other

logger = get_logger("signalbus.relay")

#: How long the end of a relay waits for its databases, in seconds.
_END_TIMEOUT: t.Final = 3.0

#: What the JSON of a model has while one of its signals is sent by itself.
SENDING: t.Final = "sending"

#: What the JSON of a model has while its broker cannot be reached.
DOWN: t.Final = "is_down"


class Status:
    """The rows of one relay: one in each database that has models of it.

    Each is written in threads of its own, so that no database waits for another.

    :param relay_id: up to 32 characters that no other relay has ever had.
    """

    def __init__(self, app: Flask, bus: SignalBus, relay_id: str) -> None:
        self.relay_id = relay_id
        self._app = app
        self._bus = bus
        self._presences: dict[str | None, Presence] = {}
        self._counts = Counts()
        self._sending: dict[SignalModel, str] = {}
        #: The relays that are gone and have been named in the log.
        self._named: set[str] = set()
        self._is_released = False
        #: Held while a presence is made, or a relay is named.
        self._lock = threading.Lock()

    def begin(self, models: Models) -> None:
        """Begin to write the rows, and to look for relays that are gone.

        Returns at once: :meth:`must_be_careful` waits.
        """
        _alive[self.relay_id] = self
        _by_bus[self._bus] = self
        for bind_key, of_bind in self._binds(models):
            self._presence(bind_key, of_bind)

    def must_be_careful(self, model: SignalModel) -> bool:
        """Return whether a relay may have ended while it sent signals of *model*.

        Waits until its row is written in the database of *model*, and for no other.
        """
        bind_key = self._bus.declaration(model).bind_key
        return self._presence(bind_key, [model]).must_be_careful()

    def release(self) -> None:
        """Release all callers that wait for a row."""
        self._is_released = True
        for presence in list(self._presences.values()):
            presence.release()

    def beat(self, models: Models, counts: Counts) -> None:
        """Write the heartbeat and *counts*, in threads.

        Returns at once. Where the last one hangs, nothing is done.
        """
        self._counts = counts
        for bind_key, of_bind in self._binds(models):
            presence = self._presence(bind_key, of_bind)
            if not presence.is_busy:
                _start(presence.beat, of_bind)

    def end(self) -> None:
        """Delete the rows, since the relay has ended properly.

        A database that does not answer within a few seconds keeps its row. To the next
        relay, this one is gone.
        """
        _alive.pop(self.relay_id, None)
        if _by_bus.get(self._bus) is self:
            del _by_bus[self._bus]
        until = time.monotonic() + _END_TIMEOUT
        threads = [_start(presence.end) for presence in list(self._presences.values())]
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

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

    def describe(self, models: Models) -> str:
        """Return the text of a row about *models*.

        A name is the same in the rows of all databases, which are read together.
        """
        everywhere = self._bus.get_signal_models()
        names = collections.Counter(model.__name__ for model in everywhere)
        down = self._bus.breakers.open()
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
            if self._bus.declaration(model).sender in down:
                document[name][DOWN] = True
        return json.dumps(document)

    def is_alive(self, relay_id: str) -> bool:
        """Return whether a relay is in this process."""
        return is_alive(relay_id)

    def log_gone(self, other: Other, *, is_late: bool) -> None:
        """Log that a relay is gone, once for all databases, and what it was sending.

        :param is_late: whether this one has been careful before it was known.
        """
        with self._lock:  # the threads of several databases may find it at once
            if other.id not in self._named:
                self._named.add(other.id)
                logger.warning(
                    "%s did not end properly. The first signals of each model %s sent"
                    " one at a time.",
                    _describe(other),
                    "were" if is_late else "are",
                )
            for name in _names_being_sent(other):
                logger.error(
                    "%s ended while it was sending %s. If that signal ends the process,"
                    " delete its row, or install signalbus-retry, which parks such"
                    " signals.",
                    _describe(other),
                    escape_controls(name),
                )

    def _presence(self, bind_key: str | None, models: Models) -> Presence:
        """Return the presence in a database; begin it if there is none."""
        with self._lock:
            presence = self._presences.get(bind_key)
            if presence is not None:
                return presence
            presence = Presence(self, self._app, self._bus, bind_key)
            self._presences[bind_key] = presence
        if self._is_released:
            presence.release()
        else:
            _start(presence.begin, models)
        return presence

    def _sent(self, model: SignalModel) -> None:
        del self._sending[model]
        self._write_now(model)

    def _write_now(self, model: SignalModel) -> None:
        """Write the row of the database of *model*, in this thread."""
        presence = self._presences.get(self._bus.declaration(model).bind_key)
        if presence is not None:
            presence.write()

    def _binds(self, models: Models) -> list[tuple[str | None, list[SignalModel]]]:
        """Return *models* by the database that they are in."""
        binds = collections.defaultdict(list)
        for model in models:
            binds[self._bus.declaration(model).bind_key].append(model)
        return list(binds.items())


def is_alive(relay_id: str) -> bool:
    """Return whether a relay is in this process."""
    return relay_id in _alive


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
