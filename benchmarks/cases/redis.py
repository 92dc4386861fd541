"""Move signals to a stream of Redis: entries, all confirmed."""

from __future__ import annotations

import typing as t

import redis

from benchmarks import program
from benchmarks import spec


def by_plugin(job: spec.Job) -> spec.Steps:
    """Flush a model that names its broker; its text is the body."""
    with program.running(job, SIGNALBUS_REDIS_URL=job.broker_url) as running:
        yield from running.flush(
            job,
            signalbus_broker="redis",
            signalbus_stream=job.queue,
            signalbus_body=staticmethod(lambda signal: signal.payload.encode()),
            signalbus_content_type="text/plain",
        )


def by_client(job: spec.Job) -> spec.Steps:
    """Add the same entry again and again, in pipelines of the size of a burst."""
    own = {"id": "signals:100000", "type": "Signals", "content_type": "text/plain"}
    entry: dict[t.Any, t.Any] = {**own, "body": b"x" * 100}
    with redis.Redis.from_url(str(job.broker_url)) as client:
        for count in (3 * job.burst, job.size):
            for start in range(0, count, job.burst):
                pipeline = client.pipeline(transaction=False)
                for _ in range(min(job.burst, count - start)):
                    pipeline.xadd(job.queue, entry)
                pipeline.execute(raise_on_error=True)
            yield None


CASES = (
    spec.Case(
        "redis",
        "to Redis, bursts of 1000",
        (
            spec.Subject(spec.OURS, by_plugin),
            spec.Subject(
                f"{spec.LIMIT}: bare redis-py", by_client, empties_table=False
            ),
        ),
        goal=spec.Goal(0.6, spec.LIMIT),
        queue="redis",
    ),
)
