"""Find the signal whose sending kills the process."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from signalbus import SignalBus
    from signalbus.stopping import StopToken
    from signalbus.typing import SignalModel


def send_carefully(bus: SignalBus, model: SignalModel, token: StopToken) -> None:
    """Send the first signals of *model* one by one."""
