"""Listen to the notifications of PostgreSQL."""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus import SignalBus
    from signalbus.stopping import StopToken


class Listeners:
    """Listens to each database that can notify."""

    def __init__(
        self,
        app: Flask,
        bus: SignalBus,
        bind_keys: t.Collection[str | None],
        wake: t.Callable[[str | None, frozenset[str] | None], None],
        token: StopToken,
    ) -> None:
        pass

    def start(self) -> None:
        """Begin to listen."""

    def stop(self) -> None:
        """Stop listening."""

    def states(self) -> dict[str, str]:
        """Return the state of each listener, by the name of its bind."""
        return {}

    def is_listening(self, bind_key: str | None) -> bool:  # noqa: ARG002
        """Return whether the database with this bind key wakes the relay."""
        return False
