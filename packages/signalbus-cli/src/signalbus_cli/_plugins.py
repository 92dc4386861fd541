"""Let the installed plugins register commands, and cope with broken plugins."""

from __future__ import annotations

import typing as t

from signalbus.plugins import make_plugin_manager

from signalbus_cli._brokers import add_groups
from signalbus_cli.output import print_warning

if t.TYPE_CHECKING:
    import click


def register_commands(group: click.Group) -> None:
    """Let every installed plugin add its commands to *group*.

    If a plugin fails, a warning on stderr names it, and the others keep their commands.
    """
    try:
        manager = make_plugin_manager({})  # our own plugin is installed, too
    except Exception as error:  # noqa: BLE001 a plugin may raise anything on import
        print_warning(f"The plugins' commands are missing. {error}")
        return
    errors = (Exception, SystemExit)
    manager.isolate("signalbus_register_commands", _warn, errors)
    manager.hook.signalbus_register_commands(group=group)
    add_groups(group, manager)


def _warn(plugin: str, error: BaseException) -> None:
    print_warning(
        f"The signalbus plugin {plugin!r} cannot register its commands:"
        f" {type(error).__name__}: {error}. Repair it, or uninstall its distribution."
    )
