"""Measure a case: its subjects in turn, round after round."""

from __future__ import annotations

import contextlib
import typing as t

from benchmarks import services
from benchmarks.databases import new_database
from benchmarks.job import Job
from benchmarks.job import Outcome
from benchmarks.queues import new_queue
from benchmarks.workers import workers

if t.TYPE_CHECKING:
    import sqlalchemy as sa

    from benchmarks.cases import Case
    from benchmarks.cases import Subject
    from benchmarks.databases import Database
    from benchmarks.queues import Queue

#: How many bursts, and signals at least, are pending while a subject warms up.
WARM_UP_BURSTS = 3
WARM_UP_SIGNALS = 50


class WorkLeftError(Exception):
    """A subject said that it was done, and it was not."""


class Result:
    """The outcomes of a case, by subject and round; or why there are none."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.outcomes: dict[Subject, list[Outcome]] = {
            subject: [] for subject in case.subjects
        }
        #: Why a subject could not be measured.
        self.failures: dict[Subject, str] = {}


def measure(case: Case, rounds: int, progress: t.Callable[[str], None]) -> Result:
    """Measure *case* in so many rounds; tell *progress* what is being done.

    A subject that fails is not tried again. Each round starts with the next subject, so
    that none has always the same one before it.
    """
    result = Result(case)
    for number in range(min(rounds, case.rounds)):
        for subject in _rotated(case.subjects, number):
            if subject not in result.failures:
                progress(f"{case.name}, round {number + 1}: {subject.name}")
                _try(result, subject)
    return result


def _rotated(subjects: t.Sequence[Subject], number: int) -> t.Sequence[Subject]:
    first = number % len(subjects)
    return [*subjects[first:], *subjects[:first]]


def _try(result: Result, subject: Subject) -> None:
    try:
        outcome = measure_once(result.case, subject)
    except Exception as error:  # noqa: BLE001 the others are measured all the same
        result.failures[subject] = str(error).partition("\n")[0]
    else:
        result.outcomes[subject].append(outcome)


def measure_once(case: Case, subject: Subject) -> Outcome:
    """Measure *subject* in new processes, on a new database and with a new queue."""
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(new_database(case.database))
        queue = stack.enter_context(new_queue()) if case.broker else None
        if case.pending:
            warm_up = max(WARM_UP_BURSTS * case.burst, WARM_UP_SIGNALS)
            database.fill(warm_up, case.payload)
        job = _job(case, subject, database, queue)
        running = stack.enter_context(workers([job] * case.processes))
        for worker in running:
            worker.wait_until_ready()
        _prepare(case, database, queue)
        if case.old_snapshot:
            stack.enter_context(database.old_snapshot())
        for worker in running:
            worker.go()
        outcome = _together([worker.outcome() for worker in running], case.size)
        _check(case, subject, database, queue)
    return outcome


def _prepare(case: Case, database: Database, queue: Queue | None) -> None:
    """Make the signals pending, and remove what the warming up has left."""
    database.fill(case.size if case.pending else 0, case.payload)
    if queue is not None:
        queue.empty()


def _check(
    case: Case, subject: Subject, database: Database, queue: Queue | None
) -> None:
    """Make sure that the work was done."""
    if queue is not None and (arrived := queue.message_count()) != case.size:
        raise WorkLeftError(f"{arrived} messages arrived, and not {case.size}")
    if subject.empties_table and (left := database.pending()):
        raise WorkLeftError(f"{left} signals were left pending")


def _job(case: Case, subject: Subject, database: Database, queue: Queue | None) -> Job:
    return Job(
        work=subject.work,
        library=subject.library,
        database_url=_database_url(case, subject, database.url),
        broker_url=services.url("rabbitmq") if queue is not None else None,
        queue=queue.name if queue is not None else "",
        size=case.size,
        burst=case.burst,
        form=subject.form,
        payload=case.payload,
    )


def _database_url(case: Case, subject: Subject, url: sa.URL) -> str:
    """Return a database's URL for *subject*, with a driver that it has."""
    if subject.library == "flask_signalbus" and case.database == "postgresql":
        url = url.set(drivername="postgresql+psycopg2")
    if not case.waits_for_disk:
        url = url.update_query_dict({"options": "-csynchronous_commit=off"})
    return url.render_as_string(hide_password=False)


def _together(outcomes: t.Sequence[Outcome], size: int) -> Outcome:
    """Return what processes measured that shared the work, as if they were one."""
    return Outcome(
        signals=size,
        seconds=max(outcome.seconds for outcome in outcomes),
        cpu_seconds=sum(outcome.cpu_seconds for outcome in outcomes),
        memory=sum(outcome.memory for outcome in outcomes),
        memory_before=sum(outcome.memory_before for outcome in outcomes),
    )
