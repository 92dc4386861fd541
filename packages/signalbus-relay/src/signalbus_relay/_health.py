"""The HTTP server of the relay's health."""

from __future__ import annotations

import typing as t


class HealthServer:
    """Answers ``GET /healthz``."""

    def __init__(
        self,
        address: tuple[str, int],
        report: t.Callable[[], tuple[bool, dict[str, t.Any]]],
    ) -> None:
        pass

    def start(self) -> None:
        """Begin to answer."""

    def stop(self) -> None:
        """Stop answering."""
