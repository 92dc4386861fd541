"""The hooks that this distribution implements."""

from __future__ import annotations

import typing as t

from signalbus import hookimpl

from signalbus_relay import _settings
from signalbus_relay._table import relay_table
from signalbus_relay._wake import wake_after_commit

if t.TYPE_CHECKING:
    import sqlalchemy as sa
    from flask import Flask
    from flask.cli import AppGroup
    from signalbus.typing import Bus
    from signalbus.typing import Recorded


@hookimpl
def signalbus_init_app(app: Flask) -> None:
    """Reject invalid settings of *app*."""
    _settings.check(app.config)


@hookimpl
def signalbus_settings() -> tuple[str, ...]:
    """Return the settings of relays and of processes that wake them."""
    return _settings.NAMES


@hookimpl
def signalbus_committed(bus: Bus, recorded: Recorded) -> None:
    """Wake the relays that send the signals that this process does not autoflush."""
    wake_after_commit(bus, recorded)


@hookimpl(optionalhook=True)
def signalbus_register_commands(group: AppGroup) -> None:
    """Add ``flask signalbus run``."""
    from signalbus_relay._commands import COMMANDS

    for command in COMMANDS:
        group.add_command(command)


@hookimpl
def signalbus_tables(metadata: sa.MetaData) -> None:
    """Add the table of running relays to *metadata*."""
    relay_table(metadata)
