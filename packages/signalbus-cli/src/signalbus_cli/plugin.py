"""The hooks that this distribution implements."""

from __future__ import annotations

import typing as t

from signalbus import hookimpl

from signalbus_cli import hookspecs
from signalbus_cli._group import signalbus

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus.plugins import PluginManager


@hookimpl
def signalbus_addhooks(plugin_manager: PluginManager) -> None:
    """Add the hooks of this distribution to those that plugins may implement."""
    plugin_manager.add_hookspecs(hookspecs)
    plugin_manager.isolate("signalbus_count_signals", _warn)


@hookimpl
def signalbus_init_app(app: Flask) -> None:
    """Add the group to *app*, for runners that know only the app's own commands.

    ``app.test_cli_runner()`` is one. The commands themselves are imported when they are
    used. An app that has a command of this name keeps it.
    """
    app.cli.commands.setdefault("signalbus", signalbus)


def _warn(plugin: str, error: BaseException) -> None:
    """Print, when signals are counted, that *plugin* did not do so."""
    from signalbus.exceptions import describe_error

    from signalbus_cli.output import print_warning

    print_warning(
        f"The signalbus plugin {plugin!r} cannot count its signals:"
        f" {describe_error(error)}"
    )
