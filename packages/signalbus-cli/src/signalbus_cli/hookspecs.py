"""The hook by which other distributions add commands."""

from __future__ import annotations

import typing as t

from signalbus import hookspec

if t.TYPE_CHECKING:
    from flask.cli import AppGroup


@hookspec
def signalbus_register_commands(group: AppGroup) -> None:
    """Add commands to *group*, which is `flask signalbus`.

    Called once per process, when commands are listed, or when the wanted command is not
    one of signalbus-cli. No app is loaded then, and there is no app context. A command
    made with ``@group.command()`` runs in an app context, where the bus is
    ``current_app.extensions["signalbus"]``. The commands of signalbus-cli cannot be
    replaced.

    Called only for installed plugins, which are those of the entry-point group
    ``signalbus``. Use ``@hookimpl(optionalhook=True)``, so that the plugin also works
    without signalbus-cli.
    """
