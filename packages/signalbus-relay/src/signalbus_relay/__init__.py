"""The long-running relay of signalbus: `flask signalbus run`."""

from __future__ import annotations

from signalbus_relay._wake import wake

__all__ = ["wake"]
