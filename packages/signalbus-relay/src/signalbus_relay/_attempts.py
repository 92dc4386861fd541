"""Attempts that signalbus-retry writes down before they are made, if it is there.

The only module that knows of signalbus-retry.
"""

from __future__ import annotations

import contextlib
import typing as t

from signalbus import SignalBusError

if t.TYPE_CHECKING:
    import sqlalchemy as sa
    from signalbus import SignalBus
    from signalbus.typing import PrimaryKey
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


class HeldBack:
    """What waits or is parked, in the form in which plugins return it to flushes."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts

    def among(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> t.Mapping[PrimaryKey, bool]:
        """Return those of *keys* that wait or are parked."""
        return self._attempts.held_back(connection, keys)


def held_by(attempts: MaybeAttempts) -> HeldBack | None:
    """Return what is held back; ``None`` without the plugin."""
    return None if attempts is None else HeldBack(attempts)


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
