"""The plugins of a bus: the core's own, then the installed ones, then the app's."""

from __future__ import annotations

import importlib.metadata
import logging
import typing as t

import pluggy

from signalbus import hookspecs
from signalbus.exceptions import SignalBusError

__all__ = [
    "PluginManager",
    "broker_names",
    "is_missing_broker",
    "make_plugin_manager",
]

logger = logging.getLogger("signalbus")

#: The project's name for pluggy, and the entry-point group of its plugins.
GROUP = "signalbus"


#: The hooks that only report what has happened: a plugin that fails in one of them
#: stops neither the others nor the work.
NOTIFICATIONS = (
    "signalbus_committed",
    "signalbus_burst_sent",
    "signalbus_burst_failed",
    "signalbus_broker_down",
    "signalbus_broker_up",
)

Failed: t.TypeAlias = t.Callable[[str, BaseException], object]
Errors: t.TypeAlias = tuple[type[BaseException], ...]


class PluginManager(pluggy.PluginManager):
    """The plugin manager of a bus, in which a plugin can fail alone.

    Made by :func:`make_plugin_manager`. What pluggy's own manager does, it does, too.
    """

    def __init__(self) -> None:
        super().__init__(GROUP)
        #: Called when a plugin has been registered that may send signals.
        self.on_broker: t.Callable[[], object] = lambda: None
        self._isolated: dict[str, tuple[Failed, Errors]] = {}
        self._is_strict = False

    def register(self, plugin: object, name: str | None = None) -> str | None:
        """Register *plugin*, and return the name it is registered under."""
        registered = super().register(plugin, name)
        if self._is_strict:
            self._refuse_unknown_hooks(plugin)
        for hook, guard in self._isolated.items():
            _isolate(self._implementations(hook, of=plugin), *guard)
        if any(each.plugin is plugin for each in _brokers(self)):
            self.on_broker()
        return registered

    def isolate(self, hook: str, failed: Failed, errors: Errors = (Exception,)) -> None:
        """Let each implementation of *hook* fail alone, now and in future.

        If an implementation raises one of *errors*, *failed* is called with the name of
        its plugin and the error. The others are called, in pluggy's order. What a
        wrapper raises is raised as always.
        """
        self._isolated[hook] = (failed, errors)
        _isolate(self._implementations(hook), failed, errors)

    def become_strict(self) -> None:
        """Refuse hooks that are not specified, of all plugins so far and to come."""
        self.check_pending()
        self._is_strict = True

    def _refuse_unknown_hooks(self, plugin: object) -> None:
        try:
            self.check_pending()
        except pluggy.PluginValidationError:
            self.unregister(plugin)
            raise

    def _implementations(
        self, hook: str, of: object | None = None
    ) -> list[pluggy.HookImpl]:
        return [
            each
            for each in getattr(self.hook, hook).get_hookimpls()
            if _is_plain(each) and (of is None or each.plugin is of)
        ]


def make_plugin_manager(own: t.Mapping[str, object]) -> PluginManager:
    """Return a new manager with *own* plugins, by name, and all installed ones.

    For programs that ask plugins without a bus, such as command line tools.

    :raises SignalBusError: if an installed plugin cannot be loaded.
    :raises pluggy.PluginValidationError: if a plugin implements a hook that is not
        specified.
    """
    manager = PluginManager()
    manager.add_hookspecs(hookspecs)
    for notification in NOTIFICATIONS:
        manager.isolate(notification, _log_failure(notification))
    for name, plugin in own.items():
        manager.register(plugin, name)
    for entry_point in _installed():
        _load(manager, entry_point)
    manager.hook.signalbus_addhooks(plugin_manager=manager)
    manager.become_strict()
    return manager


def notify(manager: pluggy.PluginManager, hook: str, **facts: t.Any) -> None:
    """Call a notification *hook*, and raise nothing."""
    caller = getattr(manager.hook, hook)
    if not caller.get_hookimpls():
        return
    try:
        caller(**facts)
    except Exception:
        logger.exception("A plugin that wraps %s failed.", hook)


def is_implemented(manager: pluggy.PluginManager, hook: str) -> bool:
    """Return whether any plugin implements *hook*, or wraps it."""
    return bool(getattr(manager.hook, hook).get_hookimpls())


def broker_names(manager: pluggy.PluginManager) -> list[str]:
    """Return the names of the brokers among the plugins, sorted.

    A broker is a plugin that sends bursts. Its name is its attribute ``name``, or else
    that of its entry point, or that under which it was registered, or that of its class
    or module.
    """
    return sorted(
        {_broker_name(manager, each) or _kind(each) for each in _brokers(manager)}
    )


def is_missing_broker(manager: pluggy.PluginManager, broker: str) -> bool:
    """Return whether it is certain that no plugin is the broker of this name.

    It is not certain while there is a broker without a name, which may take any.
    """
    names = [_broker_name(manager, each) for each in _brokers(manager)]
    return None not in names and broker not in names


def _brokers(manager: pluggy.PluginManager) -> list[pluggy.HookImpl]:
    """Return the plugins' implementations that send bursts."""
    return [
        each
        for each in manager.hook.signalbus_send_burst.get_hookimpls()
        if _is_plain(each) and not each.plugin_name.startswith(f"{GROUP}.")
    ]


def _is_plain(implementation: pluggy.HookImpl) -> bool:
    """Return whether *implementation* is not a wrapper around others."""
    return not (implementation.wrapper or implementation.hookwrapper)


def _isolate(
    implementations: t.Iterable[pluggy.HookImpl], failed: Failed, errors: Errors
) -> None:
    for implementation in implementations:
        guarded = _guarded(implementation, failed, errors)
        implementation.function = guarded  # type: ignore[misc]  # only typed as final


def _guarded(
    implementation: pluggy.HookImpl, failed: Failed, errors: Errors
) -> t.Callable[..., object]:
    """Return the function of *implementation*, whose *errors* go to *failed*."""
    function = implementation.function

    def guarded(*args: object) -> object:
        try:
            return function(*args)
        except errors as error:
            failed(plugin_name(implementation), error)
            return None

    return guarded


def _log_failure(hook: str) -> Failed:
    def log(plugin: str, error: BaseException) -> None:
        logger.error("The plugin %r failed in %s.", plugin, hook, exc_info=error)

    return log


def _broker_name(manager: pluggy.PluginManager, broker: pluggy.HookImpl) -> str | None:
    """Return the name of *broker*, or ``None`` if it was not given one."""
    name = getattr(broker.plugin, "name", None)
    if isinstance(name, str):
        return name
    made_up = manager.get_canonical_name(broker.plugin)
    return None if broker.plugin_name == made_up else broker.plugin_name


def plugin_name(implementation: pluggy.HookImpl) -> str:
    """Return how to call the plugin of *implementation* in a message."""
    own = getattr(implementation.plugin, "name", None)
    if isinstance(own, str):
        return own
    is_made_up = implementation.plugin_name == str(id(implementation.plugin))
    return _kind(implementation) if is_made_up else implementation.plugin_name


def _kind(broker: pluggy.HookImpl) -> str:
    """Return the name of a plugin's module or class."""
    plugin = broker.plugin
    return str(getattr(plugin, "__name__", type(plugin).__name__))


def _installed() -> list[importlib.metadata.EntryPoint]:
    """Return the entry points of the installed plugins, sorted by name."""
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
