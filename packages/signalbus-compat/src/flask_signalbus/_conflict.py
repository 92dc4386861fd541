"""Refuse to run if Flask-SignalBus, which owns the same package, is installed, too."""

from __future__ import annotations

import importlib.metadata

OLD = "Flask-SignalBus"
OURS = "signalbus-compat"


def refuse_old_library() -> None:
    """Raise an :exc:`ImportError` if Flask-SignalBus is installed, too.

    Whichever was installed last has overwritten files of the other, so either may run.
    Uninstalling one removes files of both.
    """
    try:
        found = importlib.metadata.version(OLD)
    except importlib.metadata.PackageNotFoundError:
        return
    raise ImportError(
        f"{OLD} {found} is installed beside {OURS}, and both own the package"
        f" flask_signalbus. Uninstall both ('pip uninstall {OLD} {OURS}'), then install"
        f" {OURS} again.",
        name="flask_signalbus",
    )
