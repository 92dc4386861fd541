"""Ask the installed plugins for commands, and survive the ones that are broken."""

from __future__ import annotations

import typing as t

from signalbus.plugins import make_plugin_manager

from signalbus_cli import plugin as own_plugin
from signalbus_cli._report import warn

if t.TYPE_CHECKING:
    import click
    import pluggy


def register_commands(group: click.Group) -> None:
    """Let every installed plugin add its commands to *group*.

    A plugin that fails is told about on stderr; the commands of the others remain.
    """
    try:
        manager = make_plugin_manager({"cli": own_plugin})
    except Exception as error:  # noqa: BLE001 whatever a plugin does at import
        warn(f"The plugins' commands are missing. {error}")
        return
    for name, plugin in manager.list_name_plugin():
        _ask(manager, name, plugin, group)


def _ask(
    manager: pluggy.PluginManager, name: str, plugin: object, group: click.Group
) -> None:
    """Call the hook for one plugin alone, so that its failure is its own."""
    others = [other for other in manager.get_plugins() if other is not plugin]
    hook = manager.subset_hook_caller("signalbus_register_commands", others)
    try:
        hook(group=group)
    except (Exception, SystemExit) as error:  # noqa: BLE001 whatever a plugin does in its hook
        warn(
            f"The signalbus plugin {name!r} cannot register its commands:"
            f" {type(error).__name__}: {error}. Repair it, or uninstall its"
            " distribution."
        )
