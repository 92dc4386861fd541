"""The long-running relay of signalbus: `flask signalbus run`."""

from __future__ import annotations

import typing as t

from signalbus_relay._wake import wake

if t.TYPE_CHECKING:
    from signalbus_relay.relay import Relay

__all__ = ["Relay", "wake"]


def __getattr__(name: str) -> t.Any:
    """Import the relay when it is asked for: web processes do without it."""
    if name == "Relay":
        from signalbus_relay.relay import Relay

        return Relay
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
