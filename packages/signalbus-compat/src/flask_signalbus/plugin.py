"""The hooks that this distribution implements."""

from __future__ import annotations

import typing as t

from signalbus import hookimpl

from flask_signalbus._conflict import refuse_old_library

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus import SignalBus


@hookimpl
def signalbus_init_app(bus: SignalBus, app: Flask) -> None:  # noqa: ARG001 the hook's
    """Refuse every app while Flask-SignalBus is installed.

    If it was installed last, its ``__init__`` has replaced ours, which therefore cannot
    refuse.
    """
    refuse_old_library()
