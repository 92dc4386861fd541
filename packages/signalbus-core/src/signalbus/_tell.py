"""Tell the plugins, and the log, what has happened."""

from __future__ import annotations

import logging
import typing as t

from signalbus.exceptions import describe_error
from signalbus.exceptions import escape_controls

if t.TYPE_CHECKING:
    from signalbus.extension import SignalBus

logger = logging.getLogger("signalbus")


def notify(bus: SignalBus, name: str, facts: t.Mapping[str, t.Any]) -> None:
    """Tell every plugin of something that has happened, whatever the others make of it.

    Within one call, a plugin that fails would silence those behind it.
    """
    manager = bus.plugin_manager
    implementations = getattr(manager.hook, name).get_hookimpls()
    plugins = [each.plugin for each in implementations]
    for plugin in plugins:
        others = [other for other in plugins if other is not plugin]
        try:
            manager.subset_hook_caller(name, others)(bus=bus, **facts)
        except Exception:
            logger.exception("A plugin failed in %s", name)


def broker_down(
    bus: SignalBus, carrier: object, error: Exception, signals: str
) -> None:
    """Tell that the circuit breaker of a broker has opened, because of *signals*.

    The error of a flush says the same; so the record is marked, for whoever shows both.
    """
    logger.warning(
        "%s is unavailable, its signals stay pending: %s (first: %s)",
        broker_title(carrier),
        describe_error(error),
        escape_controls(signals),
        extra={"signalbus_is_reported": True},
    )
    facts = {"broker": broker_name(carrier), "error": error}
    notify(bus, "signalbus_broker_down", facts)


def broker_up(
    bus: SignalBus, carrier: object, seconds: float, *, reset: bool = False
) -> None:
    """Tell that the circuit breaker of a broker has closed."""
    logger.warning(
        "%s is back after %.1f seconds."
        if not reset
        else "%s is tried again: its circuit breaker was reset after %.1f seconds.",
        broker_title(carrier),
        seconds,
    )
    facts = {"broker": broker_name(carrier), "seconds": seconds}
    notify(bus, "signalbus_broker_up", facts)


def broker_name(carrier: object) -> str:
    """Return a broker's name; a model that sends by itself is its own broker."""
    return carrier if isinstance(carrier, str) else getattr(carrier, "__name__", "")


def broker_title(carrier: object) -> str:
    """Name a broker at the beginning of a sentence."""
    if isinstance(carrier, str):
        return f"The broker {carrier!r}"
    return f"The broker of {broker_name(carrier)}"
