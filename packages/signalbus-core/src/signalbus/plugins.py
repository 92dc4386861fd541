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
        if any(each.plugin is plugin for each in _brokers(self)):
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


def broker_names(manager: pluggy.PluginManager) -> list[str]:
    """Name the brokers among the plugins, sorted; by their kind if they have no name.

    A broker sends bursts. Its name is its attribute ``name``, or else that of its entry
    point, or that under which it was registered.
    """
    return sorted(
        {_broker_name(manager, each) or _kind(each) for each in _brokers(manager)}
    )


def is_missing_broker(manager: pluggy.PluginManager, broker: str) -> bool:
    """Tell whether it is certain that nobody answers to the name *broker*.

    It is not while there is a broker without a name, which may answer to any.
    """
    names = [_broker_name(manager, each) for each in _brokers(manager)]
    return None not in names and broker not in names


def _brokers(manager: pluggy.PluginManager) -> list[pluggy.HookImpl]:
    """Return what sends bursts for models that name a broker."""
    return [
        each
        for each in manager.hook.signalbus_send_burst.get_hookimpls()
        if not (each.wrapper or each.hookwrapper)
        and not each.plugin_name.startswith(f"{GROUP}.")
    ]


def _broker_name(manager: pluggy.PluginManager, broker: pluggy.HookImpl) -> str | None:
    """Return the name of *broker*, or ``None`` if nobody has given it one."""
    own = getattr(broker.plugin, "name", None)
    if isinstance(own, str):
        return own
    made_up = manager.get_canonical_name(broker.plugin)
    return None if broker.plugin_name == made_up else broker.plugin_name


def _kind(broker: pluggy.HookImpl) -> str:
    """Return the name of a plugin's module or class."""
    plugin = broker.plugin
    return str(getattr(plugin, "__name__", type(plugin).__name__))


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
    except (Exception, SystemExit) as error:  # a plugin must not end the app
        kind, says = type(error).__name__, str(error)
        reason = f"{kind}: {says}" if says else kind
        message = (
            f"The signalbus plugin {entry_point.name!r} ({entry_point.value}) cannot be"
            f" loaded: {reason}. Repair it or uninstall its distribution."
        )
        raise SignalBusError(message) from error
