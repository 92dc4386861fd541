"""Watch the outbox of one app, for the gauges."""

from __future__ import annotations

import contextlib
import threading
import time
import typing as t
import weakref

from signalbus import SignalModelError
from signalbus.breakers import sender_name

from signalbus_otel._look import Findings
from signalbus_otel._look import look

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus import Declaration
    from signalbus import SignalBus
    from signalbus.typing import SignalModel
    from signalbus_relay._running import RunningRelay

    from signalbus_otel._settings import Settings

#: How long an exporter waits for the database, in seconds.
PATIENCE: t.Final = 2.0


class Watch:
    """What the gauges report about one app.

    Its models are not used before SQLAlchemy has configured them, since an exporter may
    run at any time, even in the middle of an import.
    """

    def __init__(self, bus: SignalBus, app: Flask, settings: Settings) -> None:
        self._bus = bus
        self._app = weakref.ref(app)
        self._settings = settings
        self._findings = Findings()
        self._at = float("-inf")
        self._thread: threading.Thread | None = None

    def breakers(self) -> dict[str, int]:
        """Return 1 for each broker whose circuit breaker is open, 0 for the others."""
        down = self._bus.breakers.open()
        closed = {each.sender for each in self._declarations} - down.keys()
        # Those that are open come last: two models may have one name.
        return {
            **{sender_name(sender): 0 for sender in closed},
            **{sender_name(sender): 1 for sender in down},
        }

    def listeners(self) -> dict[str, int]:
        """Return 1 for each database that wakes the relay of this process, else 0."""
        relay = _running_relay(self._bus)
        if relay is None:
            return {}
        return {
            name: int(state == "listening") for name, state in relay.listeners.items()
        }

    def findings(self) -> Findings:
        """Return what is in the databases, if this process is configured to read it.

        The result is reused for some seconds. Then it is read again, in a thread of its
        own. An exporter does not wait long for it; it rather reports nothing.
        """
        if not self._is_wanted():
            return Findings()
        now = time.monotonic()
        if now - self._at > self._settings.interval:
            self._refresh()
            if self._at < now:  # it takes too long, or has failed
                return Findings()
        return self._findings

    @property
    def _declarations(self) -> list[Declaration]:
        """The signal models, whichever app was current when they were configured."""
        return _declarations_of(self._bus)

    def _is_wanted(self) -> bool:
        if self._settings.pending is False or not self._declarations:
            return False
        return self._settings.pending or _running_relay(self._bus) is not None

    def _refresh(self) -> None:
        thread = self._thread
        if thread is None or not thread.is_alive():
            thread = threading.Thread(
                target=self._read, name="signalbus-otel", daemon=True
            )
            self._thread = thread
            thread.start()
        thread.join(PATIENCE)

    def _read(self) -> None:
        app = self._app()
        if app is None:
            return
        with app.app_context():
            engines = dict(self._bus.db.engines)
        self._findings = look(engines, self._declarations, self._settings.limit)
        self._at = time.monotonic()


def watches() -> list[Watch]:
    """Return the watches of all apps in this process."""
    return list(_watches)


def start_watch(bus: SignalBus, app: Flask, settings: Settings) -> None:
    """Watch the outbox of *app* until the app is garbage-collected."""
    watch = Watch(bus, app, settings)
    app.extensions[_EXTENSION] = watch
    _watches.add(watch)


def set_models(bus: SignalBus, models: list[type[t.Any]]) -> None:
    """Tell the watches of *bus*, including future ones, its models."""
    _models[bus] = weakref.WeakSet(filter(bus.is_signal_model, models))


def _declarations_of(bus: SignalBus) -> list[Declaration]:
    """Return the declarations of *bus*'s models; the core reports invalid ones."""
    declarations = []
    for model in _models.get(bus, ()):
        with contextlib.suppress(SignalModelError):
            declarations.append(bus.declaration(model))
    return declarations


def _running_relay(bus: SignalBus) -> RunningRelay | None:
    """Return the relay of this process, if there is one."""
    try:
        from signalbus_relay import running_relay
    except ImportError:
        return None
    return running_relay(bus)


_EXTENSION: t.Final = "signalbus_otel"

_watches: weakref.WeakSet[Watch] = weakref.WeakSet()
#: The signal models of each bus, once they are configured. A model keeps its bus alive.
_models: weakref.WeakKeyDictionary[SignalBus, weakref.WeakSet[SignalModel]] = (
    weakref.WeakKeyDictionary()
)
