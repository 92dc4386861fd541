"""Move signals to NATS: published asynchronously, each acknowledged by its stream."""

from __future__ import annotations

import asyncio
import typing as t

from nats import connect

from benchmarks import program
from benchmarks import spec


def by_plugin(job: spec.Job) -> spec.Steps:
    """Flush a model that names its broker; its text is the message."""
    with program.running(job, SIGNALBUS_NATS_URL=job.broker_url) as running:
        yield from running.flush(
            job,
            signalbus_broker="nats",
            signalbus_subject=job.queue,
            signalbus_body=staticmethod(lambda signal: signal.payload.encode()),
            signalbus_content_type="text/plain",
        )


def by_client(job: spec.Job) -> spec.Steps:
    """Publish as many messages with nats-py alone, with the same ids."""
    run = asyncio.new_event_loop().run_until_complete
    client = run(connect(str(job.broker_url)))
    try:
        for first, count in ((-job.burst, job.burst), (0, job.size)):
            run(_publish(client, job, range(first, first + count)))
            yield None
    finally:
        run(client.close())


async def _publish(client: t.Any, job: spec.Job, numbers: range) -> None:
    """Publish a message for each of *numbers*; wait for a burst, then go on."""
    stream = client.jetstream()
    for first in range(0, len(numbers), job.burst):
        acks = []
        for number in numbers[first : first + job.burst]:
            headers = {"Nats-Msg-Id": f"signals:{number}"}
            publish = stream.publish_async(job.queue, b"x" * 100, headers=headers)
            acks.append(await publish)
        await asyncio.gather(*acks)


PLUGIN = spec.Subject(spec.OURS, by_plugin)
CLIENT = spec.Subject(f"{spec.LIMIT}: bare nats-py", by_client, empties_table=False)

CASES = (
    spec.Case(
        "nats",
        "to NATS JetStream, bursts of 1000",
        (PLUGIN, CLIENT),
        goal=spec.Goal(0.6, spec.LIMIT),
        queue="nats",
    ),
)
