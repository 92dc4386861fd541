"""The long-running relay of signalbus: `flask signalbus run`."""

from __future__ import annotations

import importlib
import typing as t

from signalbus_relay._running import running_relay
from signalbus_relay._wake import wake

if t.TYPE_CHECKING:
    from signalbus_relay._seen import ModelReport
    from signalbus_relay._seen import SeenRelay
    from signalbus_relay._seen import relays
    from signalbus_relay.relay import Relay

__all__ = ["ModelReport", "Relay", "SeenRelay", "relays", "running_relay", "wake"]

#: The names that are imported on first use, since most web processes do not need them.
_MODULES: t.Final = {
    "ModelReport": "signalbus_relay._seen",
    "Relay": "signalbus_relay.relay",
    "SeenRelay": "signalbus_relay._seen",
    "relays": "signalbus_relay._seen",
}


def __getattr__(name: str) -> t.Any:
    """Import *name* on first use."""
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
