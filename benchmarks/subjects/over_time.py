"""Watch a relay over time: whether its speed lasts, and its memory stays."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t

from signalbus import hookimpl

from benchmarks import memory
from benchmarks.clock import timed
from benchmarks.subjects.program import open_program
from benchmarks.subjects.relay import TEXT
from benchmarks.subjects.relay import define_broker_model

if t.TYPE_CHECKING:
    from benchmarks.job import Job
    from benchmarks.job import Outcome
    from benchmarks.subjects.program import Program
    from benchmarks.subjects.program import Work

#: How often the relay is looked at, in seconds.
INTERVAL = 1.0


@contextlib.contextmanager
def relay(job: Job) -> t.Iterator[Work]:
    """Flush a model that names its broker, and note how it goes."""
    with open_program(job) as program:
        define_broker_model(program, job, **TEXT)
        program.bus.flushmany()
        yield lambda: _watched(program, job)


def _watched(program: Program, job: Job) -> Outcome:
    watcher = Watcher()
    program.bus.plugin_manager.register(watcher)
    outcome = timed(program.bus.flushmany, job.size)
    return dataclasses.replace(outcome, facts={"series": watcher.series})


class Watcher:
    """A plugin that notes how many signals were sent, and the memory held."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._sent = 0
        #: Seconds since the start, signals sent so far, MiB held: about every second.
        self.series: list[tuple[float, int, float]] = [(0.0, 0, memory.now())]

    @hookimpl
    def signalbus_burst_sent(self, count: int) -> None:
        """Note a burst."""
        self._sent += count
        now = time.perf_counter() - self._started
        if now - self.series[-1][0] >= INTERVAL:
            self.series.append((now, self._sent, memory.now()))
