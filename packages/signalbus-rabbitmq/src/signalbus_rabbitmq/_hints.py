"""What to do about a queue, an exchange or a binding that is missing: a command."""

from __future__ import annotations

import shlex

_DECLARE = "flask signalbus rabbitmq declare"

#: For what models and the consumer's setting name.
DECLARE = f"Create it with `{_DECLARE}`."


def create_queue(name: str) -> str:
    """Return how to create the queue *name*."""
    return f"Create the queue {name!r}: `{_DECLARE} --queue {shlex.quote(name)}`."


def bind(exchange: str, routing_key: str | None = None) -> str:
    """Return how to bind a queue to *exchange*, for a routing key if it is known."""
    key = "KEY" if routing_key is None else routing_key
    binding = shlex.quote(f"{exchange}:{key}")
    return f"Bind a queue to the exchange: `{_DECLARE} --queue NAME --bind {binding}`."
