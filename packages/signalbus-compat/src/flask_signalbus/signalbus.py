"""The bus, under its old name."""

from __future__ import annotations

from signalbus import SignalBus
from signalbus import SignalBusMixin
from signalbus import get_models_to_flush

__all__ = ["SignalBus", "SignalBusMixin", "get_models_to_flush"]
