"""The group `flask signalbus`, which imports its commands when it is used."""

from __future__ import annotations

import typing as t

import click
from flask.cli import AppGroup


class SignalBusGroup(AppGroup):
    """The commands of this distribution, and those of the installed plugins.

    Plugins register their commands once, when commands are listed or when the wanted
    command is not one of our own. No app is needed. A plugin cannot replace one of our
    own commands.
    """

    _has_own = False
    _has_plugins = False

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, sorted."""
        self._add_own()
        self._add_plugins()
        return super().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, or ``None`` if there is none."""
        self._add_own()
        if cmd_name not in self.commands:
            self._add_plugins()
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> t.Any:
        """Run a command, and show errors of signalbus in one line.

        For a plugin's command, Flask loads the app here, and the app may have a wrong
        setting.
        """
        from flask.helpers import get_debug_flag
        from signalbus import SignalBusError
        from signalbus.exceptions import clean_line
        from signalbus.logs import format_traceback

        try:
            return super().invoke(ctx)
        except SignalBusError as error:
            if get_debug_flag():
                click.echo(format_traceback(error), err=True)
            raise click.ClickException(clean_line(str(error))) from error

    def _add_own(self) -> None:
        if self._has_own:
            return
        self._has_own = True
        from signalbus_cli._commands import COMMANDS

        for command in COMMANDS:
            self.add_command(command)

    def _add_plugins(self) -> None:
        if self._has_plugins:
            return
        self._has_plugins = True
        from signalbus_cli._plugins import register_commands

        own = dict(self.commands)
        register_commands(self)
        self.commands.update(own)


#: The group of commands, which Flask finds through an entry point.
signalbus = SignalBusGroup(
    "signalbus",
    help="Send the signals that your app has recorded, and list what is pending.",
)
