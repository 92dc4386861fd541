"""Accept the apps of a bus, or refuse them, by their extensions and settings."""

from __future__ import annotations

import contextlib
import logging
import typing as t

from signalbus import _settings
from signalbus import _spelling
from signalbus.exceptions import SettingError
from signalbus.exceptions import SignalBusError

if t.TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy

    from signalbus.typing import Bus

logger = logging.getLogger("signalbus")

#: The name of the bus among the extensions of an app.
EXTENSION = "signalbus"


def apps_of(db: SQLAlchemy) -> list[Flask]:
    """Return the apps for which *db* has been initialized."""
    return list(getattr(db, "_app_engines", ()))


def refuse_second_bus(app: Flask) -> None:
    """Raise if *app* has a bus."""
    if EXTENSION in app.extensions:
        raise RuntimeError(
            "A signal bus has already been registered on this Flask app. Use that one:"
            " app.extensions['signalbus']."
        )


def log_unknown_settings(bus: Bus, app: Flask) -> None:
    """Log the settings of *app* that are probably mistyped."""
    answers = bus.plugin_manager.hook.signalbus_settings(bus=bus)
    known = set(_settings.NAMES).union(*answers)
    for setting in _spelling.find_unknown_settings(app.config, known):
        logger.warning("%s", setting)


@contextlib.contextmanager
def refusing_settings() -> t.Iterator[None]:
    """Turn a plugin's :exc:`ValueError` into a :exc:`SettingError`."""
    try:
        yield
    except SignalBusError:
        raise
    except ValueError as error:
        raise SettingError(str(error)) from error
