"""The hooks that this distribution implements."""

from __future__ import annotations

import typing as t

from signalbus import hookimpl

from flask_signalbus._beside import refuse_the_old_library

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus import SignalBus


@hookimpl
def signalbus_init_app(bus: SignalBus, app: Flask) -> None:  # noqa: ARG001 the hook's
    """Refuse every app while the real Flask-SignalBus is installed.

    Where it was installed last, its ``__init__`` has taken the place of ours, and ours
    cannot refuse.
    """
    refuse_the_old_library()
