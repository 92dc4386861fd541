"""The hooks that this distribution implements."""

from __future__ import annotations

import typing as t

from signalbus import hookimpl

from signalbus_retry import _models
from signalbus_retry._held import FailedSignals
from signalbus_retry._memory import memory_of
from signalbus_retry._settle import settle
from signalbus_retry._table import failure_table

if t.TYPE_CHECKING:
    import sqlalchemy as sa
    from flask import Flask
    from flask.cli import AppGroup
    from signalbus.typing import Bus
    from signalbus.typing import HeldBack
    from signalbus.typing import NextAttempts
    from signalbus.typing import PrimaryKey
    from signalbus.typing import SignalModel


@hookimpl
def signalbus_init_app(app: Flask) -> None:
    """Read the policy of *app*; a malformed one is a ``ValueError``."""
    _models.read_setting(app)


@hookimpl
def signalbus_settings() -> tuple[str, ...]:
    """Return the setting for the policy of an app."""
    return (_models.SETTING,)


@hookimpl
def signalbus_model_attributes() -> tuple[str, ...]:
    """Return the attributes that a model may declare about its failed signals."""
    return (_models.POLICY, _models.ON_PARKED)


@hookimpl
def signalbus_tables(metadata: sa.MetaData) -> None:
    """Add the table of failed signals to *metadata*."""
    failure_table(metadata)


@hookimpl
def signalbus_models_configured(bus: Bus, models: list[type[t.Any]]) -> None:
    """Reject signal models whose attributes about failures are invalid."""
    for model in filter(bus.is_signal_model, models):
        _models.check_model(model)


@hookimpl
def signalbus_held_back(
    bus: Bus, model: SignalModel, connection: sa.Connection
) -> HeldBack | None:
    """Hold back the signals of *model* that wait or are parked."""
    memory = memory_of(bus)
    entries = memory.prepare(bus, model, connection)
    if entries is None:
        return None
    return FailedSignals(memory, entries, skips_parked=_models.skips_parked(model))


@hookimpl
def signalbus_burst_settled(
    bus: Bus,
    model: SignalModel,
    connection: sa.Connection,
    sent: t.Sequence[PrimaryKey],
    failed: t.Mapping[PrimaryKey, Exception],
) -> NextAttempts | None:
    """Record the signals that failed, and forget the failures of those sent."""
    return settle(bus, model, connection, sent, failed)


@hookimpl(optionalhook=True)
def signalbus_count_signals(
    bus: Bus, models: t.Sequence[SignalModel]
) -> dict[str, dict[SignalModel, int]]:
    """Count the signals that wait, and those that are parked."""
    from signalbus_retry._operations import count_states

    return count_states(bus, models)


@hookimpl(optionalhook=True)
def signalbus_register_commands(group: AppGroup) -> None:
    """Add ``flask signalbus failures``, ``show``, ``replay``, ``park``, ``discard``."""
    from signalbus_retry._commands import COMMANDS

    for command in COMMANDS:
        group.add_command(command)
