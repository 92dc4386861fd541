"""What a subject is asked to do, and what it answers: JSON lines between processes.

The predecessor's process runs this, too, with the packages of its own time: nothing
here may need anything that is not in the standard library.
"""

from __future__ import annotations

import dataclasses
import json


@dataclasses.dataclass(frozen=True)
class Job:
    """A piece of work for one subject.

    :param work: what is done: ``module:function`` of :mod:`benchmarks.subjects`.
    :param library: the package that has ``SignalBus``, if the work uses one.
    :param database_url: a database with the tables of :mod:`benchmarks.databases`.
    :param broker_url: RabbitMQ, if the work needs it.
    :param queue: a queue of this job's own there.
    :param size: the number of signals.
    :param burst: signals in a transaction.
    :param form: what senders get: ``rows`` or ``instances``.
    :param payload: the length of a signal's text, in bytes.
    """

    work: str
    library: str
    database_url: str
    broker_url: str | None
    queue: str
    size: int
    burst: int
    form: str
    payload: int

    def to_json(self) -> str:
        """Return the job as a line of JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Job:
        """Return the job that a line of JSON describes."""
        return cls(**json.loads(line))


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What one process measured.

    :param signals: how many signals it handled.
    :param seconds: the time that took; for an autoflush, the time it adds to commits.
    :param cpu_seconds: the processor time that took, in this process only.
    :param memory: the most memory the process has held, in MiB.
    :param memory_before: the memory it held before the work, in MiB.
    """

    signals: int
    seconds: float
    cpu_seconds: float
    memory: float = 0.0
    memory_before: float = 0.0

    def to_json(self) -> str:
        """Return the outcome as a line of JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Outcome:
        """Return the outcome that a line of JSON describes."""
        return cls(**json.loads(line))
