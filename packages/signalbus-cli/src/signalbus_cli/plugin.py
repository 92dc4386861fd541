"""The hooks that this distribution implements: it brings a hook of its own."""

from __future__ import annotations

import typing as t

from signalbus import hookimpl

from signalbus_cli import hookspecs

if t.TYPE_CHECKING:
    import pluggy


@hookimpl
def signalbus_addhooks(plugin_manager: pluggy.PluginManager) -> None:
    """Add ``signalbus_register_commands`` to the hooks that plugins may implement."""
    plugin_manager.add_hookspecs(hookspecs)
