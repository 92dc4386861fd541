"""Commit signals that are flushed right after, and see what the caller pays for it."""

from __future__ import annotations

import contextlib
import statistics
import typing as t

from benchmarks.clock import Stopwatch
from benchmarks.job import Outcome
from benchmarks.subjects.program import idle_sender
from benchmarks.subjects.program import open_program

if t.TYPE_CHECKING:
    from benchmarks.job import Job
    from benchmarks.subjects.program import Work

#: How many commits are not counted at first.
WARM_UP = 50


@contextlib.contextmanager
def autoflush(job: Job) -> t.Iterator[Work]:
    """Commit a business row and a signal, with autoflush and without, in turn.

    The outcome is the time that autoflush adds: the difference of the medians.
    """
    with open_program(job) as program:
        business = program.model("business")
        signal = program.model("signals", **idle_sender(job.form))
        kept = program.model("kept", signalbus_autoflush=False, **idle_sender(job.form))
        session, text = program.db.session, "x" * job.payload

        def commit(model: t.Any, watch: Stopwatch) -> None:
            with watch.lap():
                session.add(business(payload=text))
                session.add(model(payload=text))
                session.commit()
            session.remove()

        def run(count: int) -> Outcome:
            without, flushed = Stopwatch(), Stopwatch()
            for _ in range(count):
                commit(kept, without)
                commit(signal, flushed)
            return _difference(without, flushed)

        run(WARM_UP)
        yield lambda: run(job.size)


def _difference(without: Stopwatch, flushed: Stopwatch) -> Outcome:
    count = len(flushed.laps)
    added = statistics.median(flushed.laps) - statistics.median(without.laps)
    return Outcome(
        signals=count,
        seconds=added * count,
        cpu_seconds=flushed.cpu_seconds - without.cpu_seconds,
    )
