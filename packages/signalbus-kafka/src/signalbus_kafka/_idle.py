"""Poll a producer while nothing is sent.

librdkafka reports every failed attempt to connect, even while nothing is sent, and
queues the reports until it is polled. Without this module, a process that is idle
during a long outage would fill its memory.
"""

from __future__ import annotations

import contextlib
import threading
import typing as t
import weakref

#: The interval between two polls, in seconds.
INTERVAL: t.Final = 5.0


class Served(t.Protocol):
    """A client that needs to be polled."""

    def serve(self, seconds: float) -> None:
        """Handle reports, for *seconds* at most."""


def serve_idle(served: Served, closed: threading.Event) -> None:
    """Poll *served* now and then, until it is *closed* or garbage-collected."""
    thread = threading.Thread(
        target=_serve_idle,
        args=[weakref.ref(served), closed],
        name="signalbus-kafka",
        daemon=True,
    )
    # When the interpreter ends, it starts no threads, and will not be idle any more.
    with contextlib.suppress(RuntimeError):
        thread.start()


def _serve_idle(reference: weakref.ref[Served], closed: threading.Event) -> None:
    while not closed.wait(INTERVAL):
        served = reference()
        if served is None:
            return
        served.serve(0)
        del served
