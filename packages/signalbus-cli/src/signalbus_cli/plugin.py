"""The hooks that this distribution implements: it brings a hook of its own."""

from __future__ import annotations

import typing as t

from signalbus import hookimpl

import signalbus_cli
from signalbus_cli import hookspecs

if t.TYPE_CHECKING:
    import pluggy
    from flask import Flask


@hookimpl
def signalbus_addhooks(plugin_manager: pluggy.PluginManager) -> None:
    """Add ``signalbus_register_commands`` to the hooks that plugins may implement."""
    plugin_manager.add_hookspecs(hookspecs)


@hookimpl
def signalbus_init_app(app: Flask) -> None:
    """Give *app* the group, for runners that know only the app's own commands.

    Such is ``app.test_cli_runner()``. The commands themselves are imported when one is
    wanted. An app that has something of that name keeps it.
    """
    app.cli.commands.setdefault("signalbus", signalbus_cli.signalbus)
