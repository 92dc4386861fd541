"""Attempts that signalbus-retry writes down before they are made, if it is there.

The only module that knows of signalbus-retry.
"""

from __future__ import annotations

import contextlib
import typing as t

from signalbus import SignalBusError

if t.TYPE_CHECKING:
    from signalbus import SignalBus
    from signalbus.typing import SignalModel
    from signalbus_retry.attempts import Attempts

#: The attempts of one model, if the plugin is there.
MaybeAttempts: t.TypeAlias = "Attempts | None"

#: The name of its entry point.
_PLUGIN: t.Final = "retry"


def attempts_of(bus: SignalBus, model: SignalModel, by: str) -> MaybeAttempts:
    """Return the attempts of the relay *by*; ``None`` without the plugin."""
    if not bus.plugin_manager.has_plugin(_PLUGIN):
        return None
    from signalbus_retry.attempts import Attempts

    return Attempts(bus, model, by)


def settle_gone(
    bus: SignalBus, models: t.Iterable[SignalModel], relay_ids: t.Sequence[str]
) -> None:
    """Count the attempts that relays had begun which have ended.

    A model whose table is missing is left to its lane, which reports that.
    """
    if not bus.plugin_manager.has_plugin(_PLUGIN):
        return
    from signalbus_retry import attempts

    for model in models:
        with contextlib.suppress(SignalBusError):
            attempts.settle_gone(bus, [model], relay_ids)
