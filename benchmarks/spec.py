"""What a case consists of, and how a process does the work of a subject.

The predecessor's process imports this, too, with the packages of its own time.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import re
import time
import typing as t
from pathlib import Path

if t.TYPE_CHECKING:
    from benchmarks.machine import Database

OURS = "signalbus"
THEIRS = "Flask-SignalBus"
LIMIT = "the limit"

#: A subject's work prepares and warms up; yields; does what is timed; yields again; and
#: cleans up. If it takes the time itself, the second ``yield`` gives the seconds.
Steps: t.TypeAlias = "t.Generator[float | None, None, None]"


class Job(t.NamedTuple):
    """What a subject works on; *library* is the package whose ``SignalBus`` it uses."""

    library: str
    database_url: str
    broker_url: str | None
    queue: str
    size: int
    burst: int


@dataclasses.dataclass(frozen=True)
class Subject:
    """Something that is measured; *work* gets the job and the *options*."""

    name: str
    work: t.Callable[..., Steps]  # of a module; it is called in another process
    options: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    library: str = "signalbus"  # or "flask_signalbus", in its own environment
    empties_table: bool = True  # otherwise signals may be pending at the end


class Goal(t.NamedTuple):
    """Ours is so many *times* as fast: *than* begins a subject, or titles a case."""

    times: float
    than: str


class Bound(t.NamedTuple):
    """Ours is *most* at most, in the unit of the case."""

    most: float


@dataclasses.dataclass(frozen=True)
class Case:
    """One row of the table: signals, and subjects that do the same work with them."""

    name: str  # selects the case; the part before a slash selects a group
    title: str
    subjects: t.Sequence[Subject]
    goal: Goal | Bound | None = (
        None  # a row with a goal is in the first table of the manual
    )
    unit: str = "/s"  # or "µs", the time of a signal
    size: int = 100_000
    pending: bool = True  # before the work; otherwise the subject makes the signals
    burst: int = 1000  # signals in a transaction
    database: str = "postgresql"  # or "mariadb", or "sqlite"
    url_query: t.Mapping[str, str] = dataclasses.field(default_factory=dict)
    #: What surrounds the work, once the table is filled.
    prepare: t.Callable[[Database], t.ContextManager[object]] = contextlib.nullcontext
    queue: str = ""  # the broker that has one, which gets all signals
    ordering_key: str = ""  # SQL that makes the key of a signal from its id
    processes: int = 1  # which share the work


def work(channel: t.Any) -> None:
    """Do what comes over *channel*; send seconds, processor seconds and MiB."""
    module, function, options, job = channel.receive()
    subject = getattr(importlib.import_module(module), function)
    with contextlib.closing(subject(Job(*job), **options)) as steps:
        next(steps)
        channel.send("ready")
        channel.receive()
        cpu, wall = time.process_time(), time.perf_counter()
        own = next(steps)
        seconds, cpu = time.perf_counter() - wall, time.process_time() - cpu
    status = Path("/proc/self/status")  # getrusage counts the parent's memory, too
    peak = status.exists() and re.search(r"VmHWM:\s*(\d+)", status.read_text())
    memory = int(peak[1]) / 1024 if peak else 0.0
    channel.send((seconds, cpu, memory) if own is None else (own, 0.0, memory))
