"""The plugins of a bus: the core's own, then the installed ones, then the app's."""

from __future__ import annotations

import importlib.metadata
import os
import typing as t

import pluggy

from signalbus import hookspecs
from signalbus.exceptions import SignalBusError
from signalbus.exceptions import describe_error
from signalbus.logs import get_logger

if t.TYPE_CHECKING:
    from signalbus.typing import Bus

__all__ = [
    "PluginManager",
    "broker_names",
    "is_missing_broker",
    "make_plugin_manager",
]

logger = get_logger("signalbus")

#: The project's name for pluggy, and the entry-point group of its plugins.
GROUP = "signalbus"

#: The environment variable that names plugins, separated by commas, not to be loaded.
DISABLED = "SIGNALBUS_DISABLED_PLUGINS"

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
        #: Called with each plugin that has been registered.
        self.on_registered: t.Callable[[object], object] = lambda _: None
        self._isolated: dict[str, tuple[Failed, Errors]] = {}
        self._is_strict = False

    def register(self, plugin: object, name: str | None = None) -> str | None:
        """Register *plugin*, and return the name it is registered under.

        ``None`` if that name is blocked. A plugin that raises when it is introduced to
        what is there, such as apps, is not registered.

        :raises TypeError: if it is a class: its methods need an instance; or if it
            cannot be hashed.
        """
        _check_plugin(plugin)
        registered = super().register(plugin, name)
        if registered is None:
            return None
        if self._is_strict:
            self._refuse_unknown_hooks(plugin)
        for hook in self._isolated:
            self._guard(hook, self._implementations(hook, of=plugin))
        try:
            self.on_registered(plugin)
        except BaseException:
            self.unregister(plugin)
            raise
        if any(each.plugin is plugin for each in _brokers(self)):
            self.on_broker()
        return registered

    def isolate(self, hook: str, failed: Failed, errors: Errors = (Exception,)) -> None:
        """Let each implementation of *hook* fail alone, now and in future.

        If an implementation raises one of *errors*, *failed* is called with the name of
        its plugin and the error, and answers in its place; ``None`` is no answer. The
        others are called, in pluggy's order. What a wrapper raises is raised as always.
        """
        self._isolated[hook] = (failed, errors)
        self._guard(hook, self._implementations(hook))

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

    def _guard(self, hook: str, implementations: t.Iterable[pluggy.HookImpl]) -> None:
        for each in implementations:
            guarded = _guarded(self, each, *self._isolated[hook])
            each.function = guarded  # type: ignore[misc]  # only typed as final

    def _implementations(
        self, hook: str, of: object | None = None
    ) -> list[pluggy.HookImpl]:
        return [
            each
            for each in plain_implementations(getattr(self.hook, hook))
            if of is None or each.plugin is of
        ]


def make_plugin_manager(own: t.Mapping[str, object]) -> PluginManager:
    """Return a new manager with *own* plugins, by name, and all installed ones.

    For programs that ask plugins without a bus, such as command line tools. Plugins
    that the environment variable ``SIGNALBUS_DISABLED_PLUGINS`` names, separated by
    commas, are not loaded.

    :raises SignalBusError: if an installed plugin cannot be loaded.
    :raises pluggy.PluginValidationError: if a plugin implements a hook that is not
        specified.
    """
    manager = PluginManager()
    manager.add_hookspecs(hookspecs)
    for notification in NOTIFICATIONS:
        manager.isolate(notification, _log_failure(notification))
    manager.isolate("signalbus_check", _as_problem)
    for name, plugin in own.items():
        manager.register(plugin, name)
    for entry_point in _installed():
        _load(manager, entry_point)
    manager.hook.signalbus_addhooks(plugin_manager=manager)
    manager.become_strict()
    return manager


def notify(bus: Bus, hook: str, **facts: t.Any) -> None:
    """Call a notification *hook* with *bus* and *facts*, and raise nothing."""
    caller = getattr(bus.plugin_manager.hook, hook)
    if not is_implemented(caller):
        return
    try:
        caller(bus=bus, **facts)
    except Exception:
        logger.exception("A plugin that wraps %s failed.", hook)


def hooks_of(plugin: object) -> pluggy.HookRelay:
    """Return the hooks of signalbus as *plugin* alone implements them."""
    alone = pluggy.PluginManager(GROUP)
    alone.add_hookspecs(hookspecs)
    alone.register(plugin)
    return alone.hook


def is_implemented(hook: pluggy.HookCaller) -> bool:
    """Return whether any plugin implements *hook*, or wraps it."""
    return bool(hook.get_hookimpls())


def broker_names(manager: pluggy.PluginManager) -> list[str]:
    """Return the names of the brokers among the plugins, sorted.

    A broker is a plugin that sends bursts. Its name is its attribute ``name``, or else
    that of its entry point, or that under which it was registered, or that of its class
    or module.
    """
    return sorted({plugin_name(manager, each) for each in _brokers(manager)})


def is_missing_broker(manager: pluggy.PluginManager, broker: str) -> bool:
    """Return whether it is certain that no plugin is the broker of this name.

    It is not certain while there is a broker without a name, which may take any.
    """
    names = [_given_name(manager, each) for each in _brokers(manager)]
    return None not in names and broker not in names


def _brokers(manager: pluggy.PluginManager) -> list[pluggy.HookImpl]:
    """Return the plugins' implementations that send bursts."""
    return [
        each
        for each in plain_implementations(manager.hook.signalbus_send_burst)
        if not each.plugin_name.startswith(f"{GROUP}.")
    ]


def plain_implementations(hook: pluggy.HookCaller) -> list[pluggy.HookImpl]:
    """Return the implementations of *hook* that are not wrappers around others."""
    return [
        each for each in hook.get_hookimpls() if not (each.wrapper or each.hookwrapper)
    ]


def _check_plugin(plugin: object) -> None:
    if isinstance(plugin, type):
        raise TypeError(
            f"The plugin {plugin.__name__} is a class. Register an instance of it; let"
            " an entry point name one."
        )
    if type(plugin).__hash__ is None:
        raise TypeError(
            f"The plugin {type(plugin).__name__} cannot be hashed. Define __hash__; for"
            " a dataclass, use @dataclass(eq=False)."
        )


def _guarded(
    manager: pluggy.PluginManager,
    implementation: pluggy.HookImpl,
    failed: Failed,
    errors: Errors,
) -> t.Callable[..., object]:
    """Return the function of *implementation*, whose *errors* go to *failed*."""
    function = implementation.function

    def guarded(*args: object) -> object:
        try:
            return function(*args)
        except errors as error:
            return failed(plugin_name(manager, implementation), error)

    return guarded


def _log_failure(hook: str) -> Failed:
    def log(plugin: str, error: BaseException) -> None:
        logger.error("The plugin %r failed in %s.", plugin, hook, exc_info=error)

    return log


def _as_problem(plugin: str, error: BaseException) -> list[str]:
    return [
        (
            f"The plugin {plugin!r} failed in signalbus_check:"
            f" {describe_error(error).rstrip('.')}. Repair it, or uninstall its"
            " distribution."
        )
    ]


def plugin_name(manager: pluggy.PluginManager, implementation: pluggy.HookImpl) -> str:
    """Return the name of a plugin; that of its module or class if it has none."""
    plugin = implementation.plugin
    kind = getattr(plugin, "__name__", type(plugin).__name__)
    return _given_name(manager, implementation) or str(kind)


def _given_name(
    manager: pluggy.PluginManager, implementation: pluggy.HookImpl
) -> str | None:
    """Return the name of a plugin, or ``None`` if it was not given one."""
    name = getattr(implementation.plugin, "name", None)
    if isinstance(name, str):
        return name
    made_up = manager.get_canonical_name(implementation.plugin)
    given = implementation.plugin_name
    return None if given == made_up else given


def _installed() -> list[importlib.metadata.EntryPoint]:
    """Return the entry points of the plugins to load, sorted by name."""
    disabled = {name.strip() for name in os.environ.get(DISABLED, "").split(",")}
    found = importlib.metadata.entry_points(group=GROUP)
    loaded = [each for each in found if each.name not in disabled]
    return sorted(loaded, key=lambda entry_point: entry_point.name)


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
