"""The names of senders, as people know them."""

from __future__ import annotations


def sender_name(sender: object) -> str:
    """Return the name of a broker, or of a model that sends by itself."""
    return sender if isinstance(sender, str) else getattr(sender, "__name__", "")
