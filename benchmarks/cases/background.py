"""Commit in many threads, with each way of autoflush, to RabbitMQ."""

from __future__ import annotations

import concurrent.futures
import statistics
import time
import typing as t

from benchmarks import program
from benchmarks import spec
from benchmarks.cases import rabbitmq

#: How many threads commit, as those of a web server do.
THREADS = 8

#: Commits of each thread before those that are measured.
WARM_UP = 25


def commit(job: spec.Job, autoflush: t.Any, figure: str) -> spec.Steps:
    """Commit in all threads; tell the time of all commits, or the median of one.

    What autoflush leaves is sent when the time was taken.
    """
    with program.running(job) as running:
        model = running.model("signals", **rabbitmq.to_queue(job))
        bus, session = running.bus, running.db.session
        bus.autoflush = autoflush

        def commits(count: int) -> list[float]:
            seconds = []
            with running.app.app_context():
                for _ in range(count):
                    start = time.perf_counter()
                    session.add(model(payload="x" * 100))
                    session.commit()
                    seconds.append(time.perf_counter() - start)
                    session.remove()
            return seconds

        for count in (WARM_UP, job.size // THREADS):
            start = time.perf_counter()
            with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
                each = list(pool.map(commits, [count] * THREADS))
            wall = time.perf_counter() - start
            bus.drain_autoflush(60.0)
            bus.flushmany()
            median = statistics.median(one for some in each for one in some)
            yield wall if figure == "rate" else median * job.size


def _subjects(figure: str) -> tuple[spec.Subject, ...]:
    ways = {spec.OURS: "background", INLINE: True, OFF: False}
    return tuple(
        spec.Subject(name, commit, {"autoflush": way, "figure": figure})
        for name, way in ways.items()
    )


INLINE = "inline autoflush"
OFF = "no autoflush"

CASES = (
    spec.Case(
        "background/rate",
        "background autoflush to RabbitMQ, 8 threads that commit",
        _subjects("rate"),
        spec.Goal(2, INLINE),
        size=2000,
        pending=False,
        queue="rabbitmq",
    ),
    spec.Case(
        "background/commit",
        "the same, median of a commit",
        _subjects("median"),
        spec.Goal(1 / 1.2, OFF),
        "µs",
        size=2000,
        pending=False,
        queue="rabbitmq",
    ),
)
