"""The processes that are measured, from outside: start them, let them go, read them."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import threading
import typing as t
from pathlib import Path

from benchmarks import worker
from benchmarks.interpreters import python_of
from benchmarks.job import Outcome

if t.TYPE_CHECKING:
    from benchmarks.job import Job

ROOT = Path(__file__).parents[1]

#: How long a worker may take for one answer, in seconds.
PATIENCE = 1800


class WorkerFailedError(Exception):
    """A worker ended without an answer."""


class Worker:
    """A process that does a job; it is warmed up first."""

    def __init__(self, job: Job) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 closed by close()
        self._process = subprocess.Popen(  # noqa: S603 our own program
            [python_of(job.library), "-m", "benchmarks.worker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._tell(job.to_json())

    def wait_until_ready(self) -> None:
        """Wait until it is warm."""
        self._answer()

    def go(self) -> None:
        """Let it start, at once."""
        self._tell(worker.GO)

    def outcome(self) -> Outcome:
        """Wait for what it measured."""
        return Outcome.from_json(self._answer())

    def close(self) -> None:
        """End the process, if it has not ended."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _tell(self, line: str) -> None:
        print(line, file=self._process.stdin, flush=True)

    def _answer(self) -> str:
        patience = threading.Timer(PATIENCE, self._process.kill)
        patience.start()
        try:
            line = t.cast("t.TextIO", self._process.stdout).readline()
        finally:
            patience.cancel()
        if not line:
            raise WorkerFailedError(self._last_words())
        return line

    def _last_words(self) -> str:
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return lines[-1] if lines else f"no answer for {PATIENCE} seconds"


@contextlib.contextmanager
def workers(jobs: t.Iterable[Job]) -> t.Iterator[list[Worker]]:
    """Start a worker for each of *jobs*; end them."""
    with contextlib.ExitStack() as stack:
        started = []
        for job in jobs:
            one = Worker(job)
            stack.callback(one.close)
            started.append(one)
        yield started
