"""The hook of the commands: how other distributions add theirs."""

from __future__ import annotations

import typing as t

from signalbus import hookspec

if t.TYPE_CHECKING:
    from flask.cli import AppGroup


@hookspec
def signalbus_register_commands(group: AppGroup) -> None:
    """Add commands of your own to *group*, which is `flask signalbus`.

    Called once a process, when commands are listed or one is wanted that is not ours;
    no app is loaded then, and there is no app context. ``@group.command()`` makes a
    command that runs in an app context, where the bus is
    ``current_app.extensions["signalbus"]``. Names of our own commands cannot be taken.

    Only installed plugins are asked, those of the entry-point group ``signalbus``. Say
    ``@hookimpl(optionalhook=True)``, so that the plugin works without signalbus-cli.
    """
