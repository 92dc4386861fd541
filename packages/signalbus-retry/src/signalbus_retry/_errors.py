"""What the errors of a database mean for a transaction that is not ours alone."""

from __future__ import annotations

from signalbus.retry import is_race


def is_passing(error: Exception) -> bool:
    """Return whether the transaction is lost by *error*, but may be repeated."""
    return is_race(error) or bool(getattr(error, "connection_invalidated", False))
