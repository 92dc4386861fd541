"""Make the plugin manager of a bus: the core's own plugins, then the installed ones."""

from __future__ import annotations

import importlib.metadata
import typing as t

import pluggy

from signalbus import hookspecs
from signalbus.exceptions import SignalBusError

#: The project's name for pluggy, and the entry-point group of its plugins.
GROUP = "signalbus"


class PluginManager(pluggy.PluginManager):
    """A manager that tells when a plugin was registered that may send signals."""

    def __init__(self) -> None:
        super().__init__(GROUP)
        self.on_broker: t.Callable[[], object] = lambda: None

    def register(self, plugin: object, name: str | None = None) -> str | None:
        """Register *plugin*."""
        registered = super().register(plugin, name)
        if registered and _is_broker(self, plugin):
            self.on_broker()
        return registered


def make_plugin_manager(own: t.Mapping[str, object]) -> PluginManager:
    """Return a new manager with *own* plugins, by name, and all installed ones.

    A plugin that cannot be loaded, or that implements a hook nobody specified, is an
    error here and not at the first flush.
    """
    manager = PluginManager()
    manager.add_hookspecs(hookspecs)
    for name, plugin in own.items():
        manager.register(plugin, name)
    for entry_point in _installed():
        _load(manager, entry_point)
    manager.hook.signalbus_addhooks(plugin_manager=manager)
    manager.check_pending()
    return manager


def plugin_names(manager: pluggy.PluginManager) -> list[str]:
    """Return the names of the plugins in *manager*, sorted, without the core's own."""
    return sorted(
        name
        for name, plugin in manager.list_name_plugin()
        if plugin and not name.startswith(f"{GROUP}.")
    )


def _is_broker(manager: pluggy.PluginManager, plugin: object) -> bool:
    """Tell whether *plugin* sends bursts, and does not only look on."""
    return any(
        implementation.plugin is plugin
        and not (implementation.wrapper or implementation.hookwrapper)
        for implementation in manager.hook.signalbus_send_burst.get_hookimpls()
    )


def _installed() -> list[importlib.metadata.EntryPoint]:
    """Return the installed plugins' entry points, the same order on every machine."""
    found = importlib.metadata.entry_points(group=GROUP)
    return sorted(found, key=lambda entry_point: entry_point.name)


def _load(
    manager: pluggy.PluginManager, entry_point: importlib.metadata.EntryPoint
) -> None:
    if manager.has_plugin(entry_point.name):
        return
    try:
        manager.register(entry_point.load(), entry_point.name)
    except Exception as error:
        message = (
            f"The signalbus plugin {entry_point.name!r} ({entry_point.value}) cannot be"
            f" loaded: {error}. Repair it or uninstall its distribution."
        )
        raise SignalBusError(message) from error
