"""The group `flask signalbus`, which looks for its commands when it is used."""

from __future__ import annotations

import traceback
import typing as t

import click
from flask.cli import AppGroup


class SignalBusGroup(AppGroup):
    """Our own commands, and those that the installed plugins register.

    Plugins are asked once, when commands are listed or when a command is wanted that
    is none of ours. No app is needed for it. A plugin cannot replace a command of ours.
    """

    _has_ours = False
    _has_plugins = False

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        self._add_ours()
        self._add_plugins()
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, or ``None`` if nobody has it."""
        self._add_ours()
        if cmd_name not in self.commands:
            self._add_plugins()
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> t.Any:
        """Run a command, and show errors of signalbus in a line.

        Flask loads the app for the commands of plugins: it may refuse a setting.
        """
        from flask.helpers import get_debug_flag
        from signalbus import SignalBusError

        try:
            return super().invoke(ctx)
        except SignalBusError as error:
            if get_debug_flag():
                traceback.print_exc()
            raise click.ClickException(str(error)) from error

    def _add_ours(self) -> None:
        if self._has_ours:
            return
        self._has_ours = True
        from signalbus_cli._commands import COMMANDS

        for command in COMMANDS:
            self.add_command(command)

    def _add_plugins(self) -> None:
        if self._has_plugins:
            return
        self._has_plugins = True
        from signalbus_cli._plugins import register_commands

        ours = dict(self.commands)
        register_commands(self)
        self.commands.update(ours)
