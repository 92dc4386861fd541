"""Send what is pending to a sender that does nothing: the bus and the database."""

from __future__ import annotations

import contextlib
import typing as t

from benchmarks.clock import timed
from benchmarks.subjects.program import idle_sender
from benchmarks.subjects.program import open_program

if t.TYPE_CHECKING:
    from benchmarks.job import Job
    from benchmarks.subjects.program import Work


@contextlib.contextmanager
def flushmany(job: Job) -> t.Iterator[Work]:
    """Flush the table; what it holds at first is for warming up."""
    with open_program(job) as program:
        program.model(
            "signals",
            signalbus_burst_count=job.burst,
            signalbus_autoflush=False,
            **idle_sender(job.form),
        )
        program.bus.flushmany()
        program.db.session.remove()
        yield lambda: timed(program.bus.flushmany, job.size)
