"""The apps of a bus: which are accepted, and in whose context the bus works."""

from __future__ import annotations

import contextlib
import typing as t
import weakref

from signalbus import _settings
from signalbus import _spelling
from signalbus.exceptions import SettingError
from signalbus.exceptions import SignalBusError
from signalbus.logs import get_logger

if t.TYPE_CHECKING:
    import pluggy
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

    from signalbus.typing import Bus

logger = get_logger("signalbus")

#: The name of the bus among the extensions of an app.
EXTENSION = "signalbus"

#: Entered where there is a context already.
_NO_CONTEXT = contextlib.nullcontext()

#: The attribute by which a database holds its bus.
ATTRIBUTE = "_signalbus"


class Apps:
    """The apps of one bus, as long as they live.

    :param current: returns the app whose context this is, of whatever bus.
    :param db: the database of that bus.
    """

    def __init__(self, current: t.Callable[[], Flask | None], db: SQLAlchemy) -> None:
        self._apps: weakref.WeakSet[Flask] = weakref.WeakSet()
        self._find_current = current
        self._db = db
        self._the_only: weakref.ref[Flask] | None = None

    def __iter__(self) -> t.Iterator[Flask]:
        """Iterate over them."""
        return iter(list(self._apps))

    def __contains__(self, app: object) -> bool:
        """Return whether *app* is one of them."""
        return app in self._apps

    def add(self, app: Flask) -> None:
        """Add an app."""
        self._apps.add(app)
        self._the_only = None  # there may be several now

    def discard(self, app: Flask) -> None:
        """Remove an app that was refused after all."""
        self._apps.discard(app)

    def at_hand(self) -> Flask | None:
        """Return the only app, or else the one whose context this is."""
        return self._only() or self._current()

    def context(self) -> contextlib.AbstractContextManager[t.Any]:
        """Enter the context of an app of this bus, unless this is one."""
        if self._current() is not None:
            return _NO_CONTEXT
        self.require()
        self._refuse_forgotten()
        app = self._only()
        if app is None:
            raise RuntimeError(
                f"This signal bus has {len(self._apps)} apps, and none of them is the"
                " current one. Push the context of one of them ('with"
                " app.app_context():'), or call bus.init_app for the current one."
            )
        return app.app_context()

    def require(self) -> None:
        """Refuse to work before there is an app."""
        if not self._apps:
            raise RuntimeError(
                "This signal bus has no Flask app yet. Call db.init_app(app) and"
                " bus.init_app(app) first."
            )

    def _refuse_forgotten(self) -> None:
        """Refuse to work for an app that has the database and not the bus."""
        current = self._find_current()
        if current is not None and current in apps_of(self._db):
            raise RuntimeError(
                f"The current Flask app, {current.name}, has the database of this"
                " signal bus, and not the bus. Call bus.init_app(app) after"
                " db.init_app(app)."
            )

    def _current(self) -> Flask | None:
        app = self._find_current()
        return app if app in self._apps else None

    def _only(self) -> Flask | None:
        """Return the app, if there is just one."""
        known = self._the_only() if self._the_only else None
        if known is None and len(self._apps) == 1:
            (known,) = self._apps
            self._the_only = weakref.ref(known)
        return known


def apps_of(db: SQLAlchemy) -> list[Flask]:
    """Return the apps for which *db* has been initialized."""
    return list(getattr(db, "_app_engines", ()))


def check_database(db: SQLAlchemy) -> None:
    """Raise unless *db* can get a bus."""
    if not hasattr(db, "init_app") or not hasattr(db, "session"):
        raise TypeError(f"db is {db!r}. Pass the SQLAlchemy object: SignalBus(db).")
    if ATTRIBUTE in vars(db):
        raise RuntimeError(
            "This SQLAlchemy object already has a signal bus. Use that one; for another"
            " app, call its init_app(app)."
        )
    for app in apps_of(db):
        _refuse_second_bus(app)


def claim(db: SQLAlchemy, bus: Bus) -> None:
    """Let *db* hold its *bus*, so that each lives as long as the other."""
    setattr(db, ATTRIBUTE, bus)


def check_app(app: Flask, db: SQLAlchemy) -> None:
    """Raise unless *app* can get the bus of *db*."""
    if not hasattr(app, "extensions"):
        raise TypeError(f"app is {app!r}. Pass the Flask app: bus.init_app(app).")
    _refuse_second_bus(app)
    if app not in apps_of(db):
        raise RuntimeError(
            "The database of this signal bus is not initialized for this Flask app."
            " Call db.init_app(app) before bus.init_app(app)."
        )


def _refuse_second_bus(app: Flask) -> None:
    if EXTENSION in app.extensions:
        raise RuntimeError(
            "A signal bus has already been registered on this Flask app. Use that one:"
            " app.extensions['signalbus']."
        )


@contextlib.contextmanager
def registered(bus: Bus, app: Flask, apps: Apps) -> t.Iterator[None]:
    """Give *app* its *bus*, unless a plugin refuses it meanwhile."""
    app.extensions[EXTENSION] = bus
    apps.add(app)
    try:
        with _refusals():
            yield
    except Exception:
        del app.extensions[EXTENSION]
        apps.discard(app)
        raise


def introduce(bus: Bus, hooks: pluggy.HookRelay, apps: Apps) -> None:
    """Let a plugin that comes late, whose *hooks* these are, prepare the *apps*.

    With a hook that is historic, pluggy would do that, and keep all apps alive.
    """
    with _refusals():
        for app in apps:
            hooks.signalbus_init_app(bus=bus, app=app)


@contextlib.contextmanager
def _refusals() -> t.Iterator[None]:
    """Let a :exc:`ValueError` of a plugin become a :exc:`SettingError`."""
    try:
        yield
    except SignalBusError:
        raise
    except ValueError as error:
        raise SettingError(str(error)) from error


def log_unknown_settings(bus: Bus, app: Flask) -> None:
    """Log the settings of *app* that are probably mistyped."""
    answers = bus.plugin_manager.hook.signalbus_settings(bus=bus)
    known = set(_settings.NAMES).union(*answers)
    for setting in _spelling.find_unknown_settings(app.config, known):
        logger.warning("%s", setting)
