"""The hooks that this distribution implements."""

from __future__ import annotations

import typing as t

from signalbus import hookimpl

if t.TYPE_CHECKING:
    from flask.cli import AppGroup


@hookimpl(optionalhook=True)
def signalbus_register_commands(group: AppGroup) -> None:
    """Add ``flask signalbus run``."""
    from signalbus_relay._commands import COMMANDS

    for command in COMMANDS:
        group.add_command(command)
