"""Move signals to Kafka, all confirmed: to librdkafka's mock cluster, over TCP.

The mock cluster keeps messages in memory, on one broker, and answers at once, or after
a given time: a real one takes some milliseconds to write a message to all replicas.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import typing as t
from pathlib import Path

from confluent_kafka import Consumer
from confluent_kafka import Producer
from confluent_kafka import TopicPartition

from benchmarks import program
from benchmarks import spec
from benchmarks.cases import database

TOPIC = "signals"
HEADERS: list[tuple[str, str | bytes | None]] = [
    ("message-id", "signals:100000"),
    ("message-type", "Signals"),
    ("content-type", "text/plain"),
]
PARTITIONS = 4
CLUSTER = Path(__file__).parents[2] / "tests" / "kafka" / "mock_cluster.py"


def by_plugin(job: spec.Job, latency: int = 0) -> spec.Steps:
    """Flush a model that names its broker; its text is the message."""
    with mock_cluster(job, latency) as servers:
        setting = {"bootstrap.servers": servers}
        with program.running(job, SIGNALBUS_KAFKA=setting) as running:
            yield from running.flush(
                job,
                signalbus_broker="kafka",
                signalbus_topic=TOPIC,
                signalbus_body=staticmethod(lambda signal: signal.payload.encode()),
                signalbus_content_type="text/plain",
            )


def by_client(job: spec.Job, latency: int = 0) -> spec.Steps:
    """Produce the same message again and again; wait for the reports of each burst."""
    count = 0

    def report(error: object, _: object) -> None:
        nonlocal count
        count += error is None

    with mock_cluster(job, latency) as servers:
        config = {"bootstrap.servers": servers, "enable.idempotence": True}
        producer = Producer(config)
        for size in (warm_up(job), job.size):
            for start in range(0, size, job.burst):
                for _ in range(min(job.burst, size - start)):
                    producer.produce(
                        TOPIC, b"x" * 100, headers=HEADERS, on_delivery=report
                    )
                producer.flush()
            yield None
        if count != warm_up(job) + job.size:
            raise RuntimeError(f"{count} messages were confirmed")


def by_outbox(job: spec.Job, latency: int = 0) -> spec.Steps:
    """Take rows by the driver alone, produce them, wait for the reports, and commit."""
    with mock_cluster(job, latency) as servers, database.connect(job) as connection:
        config = {"bootstrap.servers": servers, "enable.idempotence": True}
        producer = Producer(config)
        for _ in range(2):
            last = 0
            while rows := connection.execute(
                database.BURST, (last, job.burst)
            ).fetchall():
                for key, text in rows:
                    headers = [("message-id", f"signals:{key}"), *HEADERS[1:]]
                    producer.produce(TOPIC, text.encode(), headers=headers)
                    last = max(last, key)
                producer.flush()
                connection.commit()
            connection.commit()
            yield None


def warm_up(job: spec.Job) -> int:
    """Return how many signals are pending at first, to warm up with."""
    return max(3 * job.burst, 50)


@contextlib.contextmanager
def mock_cluster(job: spec.Job, latency: int) -> t.Iterator[str]:
    """Run a cluster; give its address; check that all of *job* has arrived.

    :param latency: how long it takes to answer, in milliseconds.
    """
    with subprocess.Popen(  # noqa: S603 our own program
        [sys.executable, str(CLUSTER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        commands, answers = (
            t.cast("t.TextIO", each) for each in (process.stdin, process.stdout)
        )
        servers = answers.readline().strip()
        for command in (f"topic {TOPIC} {PARTITIONS} 1", f"latency -1 {latency}"):
            print(command, file=commands, flush=True)
            answers.readline()
        try:
            yield servers
            arrived = _count(servers)
        finally:
            process.kill()
    if arrived != (expected := warm_up(job) + job.size):
        raise RuntimeError(f"{arrived} messages arrived, and not {expected}")


def _count(servers: str) -> int:
    """Return how many messages the cluster was sent, though it keeps only the last."""
    config = {"bootstrap.servers": servers, "group.id": "count"}
    with contextlib.closing(Consumer(config)) as consumer:
        partitions = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
        ends = [consumer.get_watermark_offsets(each, 10) for each in partitions]
    return sum(end for _, end in ends)


def _case(name: str, title: str, **options: t.Any) -> spec.Case:
    """Return a case whose subjects get *options*."""
    limit = f"{spec.LIMIT}: bare confluent-kafka"
    subjects = (
        spec.Subject(spec.OURS, by_plugin, options),
        spec.Subject("bare psycopg and confluent-kafka", by_outbox, options),
        spec.Subject(limit, by_client, options, empties_table=False),
    )
    return spec.Case(name, title, subjects, spec.Goal(0.6, spec.LIMIT))


TITLE = "to Kafka (a mock cluster), bursts of 1000"
CASES = (
    _case("kafka", TITLE),
    _case("kafka-latency/10", f"{TITLE}, 10 ms to confirm", latency=10),
)
