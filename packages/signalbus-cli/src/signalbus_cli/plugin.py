"""The hooks that this distribution implements."""

from __future__ import annotations

import typing as t

from signalbus import hookimpl

from signalbus_cli import hookspecs
from signalbus_cli._group import signalbus

if t.TYPE_CHECKING:
    import pluggy
    from flask import Flask


@hookimpl
def signalbus_addhooks(plugin_manager: pluggy.PluginManager) -> None:
    """Add ``signalbus_register_commands`` to the hooks that plugins may implement."""
    plugin_manager.add_hookspecs(hookspecs)


@hookimpl
def signalbus_init_app(app: Flask) -> None:
    """Add the group to *app*, for runners that know only the app's own commands.

    ``app.test_cli_runner()`` is one. The commands themselves are imported when they are
    used. An app that has a command of this name keeps it.
    """
    app.cli.commands.setdefault("signalbus", signalbus)
