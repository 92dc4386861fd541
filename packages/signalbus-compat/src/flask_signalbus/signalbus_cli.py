"""The commands, under their old name. Only your own code imports it."""

from __future__ import annotations

from signalbus_cli import signalbus

__all__ = ["signalbus"]
