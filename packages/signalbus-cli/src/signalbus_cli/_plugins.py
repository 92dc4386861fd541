"""Let the installed plugins register commands, and cope with broken plugins."""

from __future__ import annotations

import typing as t

from signalbus.plugins import make_plugin_manager

from signalbus_cli._report import print_warning

if t.TYPE_CHECKING:
    import click
    import pluggy


def register_commands(group: click.Group) -> None:
    """Let every installed plugin add its commands to *group*.

    If a plugin fails, a warning on stderr names it, and the others keep their commands.
    """
    try:
        manager = make_plugin_manager({})  # our own plugin is installed, too
    except Exception as error:  # noqa: BLE001 a plugin may raise anything on import
        print_warning(f"The plugins' commands are missing. {error}")
        return
    for name, plugin in manager.list_name_plugin():
        _call_hook(manager, name, plugin, group)


def _call_hook(
    manager: pluggy.PluginManager, name: str, plugin: object, group: click.Group
) -> None:
    """Call the hook of one plugin only, so that its failure affects no other."""
    others = [other for other in manager.get_plugins() if other is not plugin]
    hook = manager.subset_hook_caller("signalbus_register_commands", others)
    try:
        hook(group=group)
    except (Exception, SystemExit) as error:  # noqa: BLE001 a plugin may raise anything
        print_warning(
            f"The signalbus plugin {name!r} cannot register its commands:"
            f" {type(error).__name__}: {error}. Repair it, or uninstall its"
            " distribution."
        )
