"""Attempts that signalbus-retry, if installed, records before they are made.

This is the only module that knows signalbus-retry.
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

#: The attempts of one model, if the plugin is installed.
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
    """The signals that wait or are parked, in the form that flushes expect."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts

    def among(
        self, connection: sa.Connection, keys: t.Sequence[PrimaryKey]
    ) -> t.Mapping[PrimaryKey, bool]:
        """Return those of *keys* that wait or are parked."""
        return self._attempts.held_back(connection, keys)


def held_by(attempts: MaybeAttempts) -> HeldBack | None:
    """Return the signals that are held back; ``None`` without the plugin."""
    return None if attempts is None else HeldBack(attempts)


def settle_gone(
    bus: SignalBus, models: t.Iterable[SignalModel], relay_ids: t.Sequence[str]
) -> None:
    """Count the attempts that were begun by relays that have ended.

    A model whose table is missing is skipped, since its lane reports that.
    """
    if not bus.plugin_manager.has_plugin(_PLUGIN):
        return
    from signalbus_retry import attempts

    for model in models:
        with contextlib.suppress(SignalBusError):
            attempts.settle_gone(bus, [model], relay_ids)
