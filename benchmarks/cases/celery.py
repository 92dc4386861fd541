"""Send signals as calls of Celery tasks, to RabbitMQ, all confirmed."""

from __future__ import annotations

import typing as t

from benchmarks import program
from benchmarks import spec

TASK = "benchmark.task"


def celery_app(job: spec.Job, **transport_options: t.Any) -> t.Any:
    """Return a Celery app that sends to the queue, and makes no exchange for it."""
    from celery import Celery  # the predecessor's environment lacks it

    app = Celery("benchmark", broker=job.broker_url, set_as_current=False)
    app.conf.update(
        broker_transport_options=transport_options,
        task_default_exchange="",
        task_queues={job.queue: {"exchange": ""}},
    )
    return app


def by_plugin(job: spec.Job) -> spec.Steps:
    """Flush a model whose columns are the arguments of a task."""
    with program.running(job) as running:
        running.app.extensions["celery"] = celery_app(job)
        yield from running.flush(
            job,
            signalbus_broker="celery",
            signalbus_task=TASK,
            signalbus_task_queue=job.queue,
        )


def by_celery(job: spec.Job) -> spec.Steps:
    """Send equal tasks with no signal behind them, as any program would."""
    app = celery_app(job, confirm_publish=True)
    payload = "x" * 100
    for count in (100, job.size):
        for number in range(count):
            app.send_task(
                TASK,
                kwargs={"id": number, "payload": payload},
                queue=job.queue,
                ignore_result=True,
            )
        yield None


PLUGIN = spec.Subject(spec.OURS, by_plugin)
CELERY = spec.Subject(f"{spec.LIMIT}: bare Celery", by_celery, empties_table=False)

CASES = (
    spec.Case(
        "celery",
        "to Celery over RabbitMQ, bursts of 1000",
        (PLUGIN, CELERY),
        goal=spec.Goal(0.6, spec.LIMIT),
        size=10_000,
        queue="rabbitmq",
    ),
)
