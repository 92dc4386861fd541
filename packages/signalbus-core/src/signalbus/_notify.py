"""Notify the plugins, and the log, of what has happened."""

from __future__ import annotations

import typing as t

from signalbus import plugins
from signalbus.breakers import sender_name
from signalbus.exceptions import describe_error
from signalbus.exceptions import escape_controls
from signalbus.logs import get_logger

if t.TYPE_CHECKING:
    from signalbus._declaration import Declaration
    from signalbus.typing import Bus
    from signalbus.typing import PrimaryKey

logger = get_logger("signalbus")


def burst_sent(bus: Bus, declaration: Declaration, count: int, seconds: float) -> None:
    """Notify that signals of a model were sent."""
    plugins.notify(
        bus,
        "signalbus_burst_sent",
        model=declaration.model,
        count=count,
        seconds=seconds,
    )


def burst_failed(
    bus: Bus,
    declaration: Declaration,
    error: Exception,
    failed: t.Mapping[PrimaryKey, Exception],
    seconds: float,
) -> None:
    """Notify that signals of a model could not be sent."""
    plugins.notify(
        bus,
        "signalbus_burst_failed",
        model=declaration.model,
        error=error,
        failed=failed,
        seconds=seconds,
    )


def broker_down(bus: Bus, sender: object, error: Exception, signals: str) -> None:
    """Notify that a circuit breaker has opened, because of *signals*.

    The error of a flush says the same. So the log record is marked, for programs that
    show both.
    """
    logger.warning(
        "%s is unavailable, its signals stay pending: %s (first: %s)",
        broker_title(sender),
        describe_error(error),
        escape_controls(signals),
        extra={"signalbus_is_reported": True},
    )
    plugins.notify(
        bus,
        "signalbus_broker_down",
        broker=sender_name(sender),
        error=error,
    )


def broker_stalled(sender: object, signals: str) -> None:
    """Log that *signals* were left: another thread has been waiting for too long."""
    logger.warning(
        "%s keeps a commit waiting. Until it answers, other commits do not wait for it,"
        " and leave their signals pending (first: %s).",
        broker_title(sender),
        escape_controls(signals),
    )


def broker_up(bus: Bus, sender: object, seconds: float, *, reset: bool = False) -> None:
    """Notify that a circuit breaker has closed, or was *reset*."""
    logger.warning(
        "%s is tried again: its circuit breaker was reset after %.1f seconds."
        if reset
        else "%s is back after %.1f seconds.",
        broker_title(sender),
        seconds,
    )
    plugins.notify(
        bus,
        "signalbus_broker_up",
        broker=sender_name(sender),
        seconds=seconds,
    )


def broker_title(sender: object) -> str:
    """Return a broker's name as it stands at the beginning of a sentence."""
    if isinstance(sender, str):
        return f"The broker {sender!r}"
    return f"The broker of {sender_name(sender)}"
