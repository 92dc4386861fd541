"""Take the time of a piece of work: on the wall, and of this process's processors."""

from __future__ import annotations

import contextlib
import time
import typing as t

from benchmarks.job import Outcome


class Stopwatch:
    """Take the times of pieces of work."""

    def __init__(self) -> None:
        #: The wall time of every piece, in seconds.
        self.laps: list[float] = []
        #: The processor time of all pieces together, in seconds.
        self.cpu_seconds = 0.0

    @contextlib.contextmanager
    def lap(self) -> t.Iterator[None]:
        """Time one piece."""
        cpu, wall = time.process_time(), time.perf_counter()
        yield
        self.laps.append(time.perf_counter() - wall)
        self.cpu_seconds += time.process_time() - cpu


def timed(work: t.Callable[[], object], signals: int) -> Outcome:
    """Do *work* on so many signals, and tell how long it took."""
    watch = Stopwatch()
    with watch.lap():
        work()
    return Outcome(signals, sum(watch.laps), watch.cpu_seconds)
