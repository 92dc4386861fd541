"""The errors of atomic blocks that are not the database's."""

from __future__ import annotations

from signalbus import SignalBusError


class AtomicBlockError(SignalBusError, RuntimeError):
    """Only the atomic block itself may end its transaction. Do this elsewhere."""
