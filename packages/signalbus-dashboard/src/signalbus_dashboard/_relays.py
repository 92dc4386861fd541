"""The relays that are running. Imported only where `signalbus-relay` is installed."""

from __future__ import annotations

import typing as t

import signalbus_relay

if t.TYPE_CHECKING:
    from signalbus.typing import Bus
    from signalbus_relay import SeenRelay


def read(bus: Bus, failed: t.Callable[[Exception], object]) -> list[SeenRelay]:
    """Return the relays that have a row, the most recently seen one first.

    :param failed: called with the error of each database that cannot be read.
    """
    return signalbus_relay.relays(bus, failed=failed)
