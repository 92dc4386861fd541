"""Attempts that signalbus-retry writes down before they are made, if it is there.

The only module that knows of signalbus-retry.
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from signalbus import SignalBus
    from signalbus.typing import SignalModel
    from signalbus_retry.attempts import Attempts

#: The name of its entry point.
_PLUGIN: t.Final = "retry"


def attempts_of(bus: SignalBus, model: SignalModel, by: str) -> Attempts | None:
    """Return the attempts of the relay *by*; ``None`` without the plugin."""
    if not bus.plugin_manager.has_plugin(_PLUGIN):
        return None
    from signalbus_retry.attempts import Attempts

    return Attempts(bus, model, by)


def settle_gone(
    bus: SignalBus, models: t.Iterable[SignalModel], relay_ids: t.Sequence[str]
) -> None:
    """Count the attempts that relays had begun which have ended."""
    if bus.plugin_manager.has_plugin(_PLUGIN):
        from signalbus_retry import attempts

        attempts.settle_gone(bus, models, relay_ids)
