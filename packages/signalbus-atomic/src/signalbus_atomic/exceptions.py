"""What can go wrong in an atomic block through no fault of the database."""

from __future__ import annotations

from signalbus import SignalBusError


class AtomicBlockError(SignalBusError, RuntimeError):
    """An atomic block alone begins and ends its transaction. Do this elsewhere."""
