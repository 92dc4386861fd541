"""The process in which a subject is measured: ``python -m benchmarks.worker``.

It reads its job, warms up, says that it is ready, waits until it is told to go, does
the work and writes the outcome: a line each way at a time.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
import typing as t

from benchmarks import memory
from benchmarks.job import Job

READY = "ready"
GO = "go"


def main(lines: t.TextIO, answers: t.TextIO) -> None:
    """Do the job that the first of *lines* describes, when the second says so."""
    job = Job.from_json(lines.readline())
    with _program(job.work)(job) as work:
        print(READY, file=answers, flush=True)
        if lines.readline().strip() != GO:
            return
        before = memory.now()
        outcome = work()
    outcome = dataclasses.replace(outcome, memory=memory.peak(), memory_before=before)
    print(outcome.to_json(), file=answers, flush=True)


def _program(name: str) -> t.Any:
    """Return a subject's function, whose module may need what only it has."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(f"benchmarks.subjects.{module}"), function)


if __name__ == "__main__":
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    main(sys.stdin, answers)
