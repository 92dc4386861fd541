"""Interpret database errors in a transaction that is shared with the core."""

from __future__ import annotations

from signalbus.retry import is_race


def is_passing(error: Exception) -> bool:
    """Return whether the transaction is lost by *error*, but may be repeated."""
    return is_race(error) or bool(getattr(error, "connection_invalidated", False))
