"""Fixtures for testing apps that use signalbus, such as an in-memory broker.

The names here are for annotations; tests use the fixtures of the pytest plugin.
"""

from __future__ import annotations

import importlib
import typing as t

if t.TYPE_CHECKING:
    from signalbus_pytest.flushing import FlushSignals
    from signalbus_pytest.recorded import RecordedSignals
    from signalbus_pytest.recorded import UncommittedSignals

__all__ = ["FlushSignals", "RecordedSignals", "UncommittedSignals"]

#: The modules of the names. pytest imports this package for every test suite, so they
#: are imported only when they are needed.
_MODULES: t.Final = {
    "FlushSignals": "signalbus_pytest.flushing",
    "RecordedSignals": "signalbus_pytest.recorded",
    "UncommittedSignals": "signalbus_pytest.recorded",
}


def __getattr__(name: str) -> t.Any:
    """Import *name* on first use."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(module), name)
