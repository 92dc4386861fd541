"""Move signals from the database to RabbitMQ: persistent messages, all confirmed."""

from __future__ import annotations

import contextlib
import importlib
import typing as t

from benchmarks.clock import timed
from benchmarks.subjects.program import open_program

if t.TYPE_CHECKING:
    from benchmarks.job import Job
    from benchmarks.subjects.program import Program
    from benchmarks.subjects.program import Work

Context: t.TypeAlias = "contextlib.AbstractContextManager[Work]"

#: Where a library's publisher is.
PUBLISHERS = {
    "signalbus": "signalbus_rabbitmq",
    "flask_signalbus": "flask_signalbus.rabbitmq",
}


def by_plugin(job: Job) -> Context:
    """Flush a model that names its broker; its text is the message."""
    return _flush(job, **TEXT)


def with_headers(job: Job) -> Context:
    """Flush a model whose messages have headers, too: longer properties."""
    headers = {"schema": "https://example.com/signals.json", "version": 1}
    return _flush(job, **TEXT, signalbus_headers=headers)


@contextlib.contextmanager
def _flush(job: Job, **attributes: t.Any) -> t.Iterator[Work]:
    """Flush a model with *attributes*, sent by the plugin for RabbitMQ."""
    with open_program(job) as program:
        program.model(
            "signals",
            signalbus_burst_count=job.burst,
            signalbus_autoflush=False,
            signalbus_broker="rabbitmq",
            signalbus_exchange="",
            signalbus_routing_key=job.queue,
            **attributes,
        )
        program.bus.flushmany()
        yield lambda: timed(program.bus.flushmany, job.size)


@contextlib.contextmanager
def by_publisher(job: Job) -> t.Iterator[Work]:
    """Flush a model that publishes its own bursts; the text is the message."""
    with open_program(job) as program:
        publish = _publisher(program, job)

        def send(signals: t.Iterable[t.Any]) -> None:
            publish([text_of(signal) for signal in signals])

        program.model(
            "signals",
            signalbus_burst_count=job.burst,
            signalbus_autoflush=False,
            send_signalbus_message=lambda self: send([self]),
            send_signalbus_messages=classmethod(lambda _, signals: send(signals)),
        )
        program.bus.flushmany()
        program.db.session.remove()
        yield lambda: timed(program.bus.flushmany, job.size)


def _publisher(program: Program, job: Job) -> t.Callable[[t.Iterable[bytes]], None]:
    """Return what publishes bodies to the job's queue, by the library's publisher."""
    rabbitmq = importlib.import_module(PUBLISHERS[job.library])
    publisher = rabbitmq.Publisher(program.app)
    persistent = rabbitmq.MessageProperties(delivery_mode=2)

    def publish(bodies: t.Iterable[bytes]) -> None:
        publisher.publish_messages(
            [rabbitmq.Message("", job.queue, body, persistent) for body in bodies]
        )

    return publish


def text_of(signal: t.Any) -> bytes:
    """Return the message of a signal."""
    return t.cast("str", signal.payload).encode()


#: What a model declares whose text is the message.
TEXT: t.Mapping[str, t.Any] = {
    "signalbus_body": staticmethod(text_of),
    "signalbus_content_type": "text/plain",
}
