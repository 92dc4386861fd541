"""The times at which the runs of a command start."""

from __future__ import annotations

import time
import typing as t


def starts(interval: float | None, wait: t.Callable[[float], bool]) -> t.Iterator[None]:
    """Yield once, or every *interval* seconds, measured from start to start.

    A run that takes longer than *interval* is followed by the next one at once.

    :param wait: waits for a number of seconds, and returns whether to stop.
    """
    while True:
        started = time.monotonic()
        yield
        if interval is None or wait(started + interval - time.monotonic()):
            return
