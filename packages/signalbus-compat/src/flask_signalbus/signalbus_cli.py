"""The commands, under their old name. Imported by nobody but you, for click's sake."""

from __future__ import annotations

from signalbus_cli import signalbus

__all__ = ["signalbus"]
