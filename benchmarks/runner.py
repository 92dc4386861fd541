"""Measure a case: its subjects in turn, round after round, each in new processes."""

from __future__ import annotations

import contextlib
import sys
import typing as t
from pathlib import Path

import execnet

from benchmarks import machine
from benchmarks import queues
from benchmarks import spec
from benchmarks.urls import url

ROOT = Path(__file__).parents[1]


def measure(case: spec.Case, rounds: int) -> dict[str, dict[str, t.Any]]:
    """Return the figures of *case*, by subject; print what is being done.

    A subject that fails is not tried again. Each round starts with the next subject, so
    that none has always the same one before it.
    """
    figures: dict[str, dict[str, t.Any]] = {
        subject.name: {"µs": [], "CPU µs": [], "MiB": [], "failure": ""}
        for subject in case.subjects
    }
    for number in range(rounds):
        first = number % len(case.subjects)
        for subject in (*case.subjects[first:], *case.subjects[:first]):
            own = figures[subject.name]
            if own["failure"]:
                continue
            told = f"{case.name}, round {number + 1}: {subject.name}"
            print(told, file=sys.stderr, flush=True)
            try:
                seconds, cpu, memory = _measure(case, subject)
            except Exception as error:  # noqa: BLE001 others are measured all the same
                last = -1 if isinstance(error, execnet.RemoteError) else 0
                own.update({"µs": [], "failure": str(error).strip().splitlines()[last]})
            else:
                own["µs"].append(seconds / case.size * 1e6)
                own["CPU µs"].append(cpu / case.size * 1e6)
                own["MiB"].append(memory)
    return figures


def _measure(case: spec.Case, subject: spec.Subject) -> tuple[float, float, float]:
    """Return seconds, processor seconds and MiB, of all processes together."""
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(machine.new_database(case.database))
        if case.ordering_key:
            database.add_ordering_key(case.ordering_key)
        queue = ""
        empty_queue: t.Callable[[], int] = lambda: case.size  # noqa: E731 no queue
        if case.queue:
            queue, empty_queue = stack.enter_context(queues.new_queue(case.queue))
        if case.pending:
            database.fill(max(3 * case.burst, 50))  # to warm up with
        address = database.engine.url.update_query_dict(case.url_query)
        if subject.library == "flask_signalbus" and case.database == "postgresql":
            address = address.set(drivername="postgresql+psycopg2")
        broker = url(case.queue) if queue else None
        database_url = address.render_as_string(hide_password=False)
        job = (subject.library, database_url, broker, queue, case.size, case.burst)
        stack.callback(execnet.default_group.terminate, timeout=5)
        workers = [_start(subject, job) for _ in range(case.processes)]
        for worker in workers:
            worker.receive()
        database.fill(case.size if case.pending else 0)
        empty_queue()
        stack.enter_context(case.prepare(database))
        for worker in workers:
            worker.send("go")
        seconds, cpu, memory = zip(*(each.receive() for each in workers), strict=True)
        if (arrived := empty_queue()) != case.size:
            raise RuntimeError(f"{arrived} messages arrived, and not {case.size}")
        if subject.empties_table and (left := database.pending()):
            raise RuntimeError(f"{left} signals were left pending")
    return max(seconds), sum(cpu), sum(memory)


def _start(subject: spec.Subject, job: tuple[t.Any, ...]) -> t.Any:
    """Start the work of *subject* in a process; return the channel to it."""
    python = sys.executable
    if subject.library == "flask_signalbus":
        (python,) = machine.predecessor("import sys; print(sys.executable)")
    gateway = execnet.makegateway(f"popen//python={python}//chdir={ROOT}")
    channel = gateway.remote_exec("from benchmarks import spec; spec.work(channel)")
    work = (subject.work.__module__, subject.work.__name__, dict(subject.options))
    channel.send((*work, job))
    return channel
