"""Find out which optional plugins of the dashboard the bus has."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from signalbus.typing import Bus


def has_retry(bus: Bus) -> bool:
    """Return whether failed signals are recorded and can be acted on."""
    return bool(bus.plugin_manager.has_plugin("retry"))


def has_relay(bus: Bus) -> bool:
    """Return whether relays keep rows about themselves."""
    return bool(bus.plugin_manager.has_plugin("relay"))
