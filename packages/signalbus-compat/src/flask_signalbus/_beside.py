"""Refuse to work beside the real Flask-SignalBus, which owns the same folder."""

from __future__ import annotations

import importlib.metadata

OLD = "Flask-SignalBus"
OURS = "signalbus-compat"


def refuse_the_old_library() -> None:
    """Raise an :exc:`ImportError` if Flask-SignalBus is installed, too.

    The one installed last has overwritten the files of the other, so that nobody knows
    which of them runs. Uninstalling either takes files of both away.
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
