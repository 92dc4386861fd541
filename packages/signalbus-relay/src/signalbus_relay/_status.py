"""The relay's row in the table of relays."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

    from signalbus_relay._counts import Counts


class Status:
    """The row of one relay."""

    def __init__(self, app: Flask, bus: SignalBus, relay_id: str) -> None:
        pass

    def begin(self, models: t.Sequence[SignalModel]) -> bool:  # noqa: ARG002
        """Write the row; return whether the relay before ended uncleanly."""
        return False

    def beat(self, models: t.Sequence[SignalModel], counts: Counts) -> None:
        """Write that the relay is alive."""

    def end(self) -> None:
        """Delete the row."""
