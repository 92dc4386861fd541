"""The limits of PostgreSQL: the statements alone, in a loop, without any library."""

from __future__ import annotations

import contextlib
import statistics
import typing as t

import psycopg

from benchmarks.clock import Stopwatch
from benchmarks.clock import timed
from benchmarks.job import Outcome

if t.TYPE_CHECKING:
    from benchmarks.job import Job
    from benchmarks.subjects.program import Work

#: How many statements are not counted at first.
WARM_UP = 50

#: Take a burst and delete it at once. By the rows' places on disk, and from where the
#: last burst ended: this is the fastest that we know.
TAKE = """
DELETE FROM signals WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM signals WHERE id > %s
    ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
)) RETURNING id, payload
"""


@contextlib.contextmanager
def connect(job: Job) -> t.Iterator[psycopg.Connection]:
    """Connect by the driver alone."""
    address = job.database_url.replace("postgresql+psycopg:", "postgresql:")
    with psycopg.connect(address) as connection:
        yield connection


@contextlib.contextmanager
def take(job: Job) -> t.Iterator[Work]:
    """Delete the rows burst by burst, fetch what they held, and commit."""
    with connect(job) as connection:
        _take_all(connection, job.burst)
        yield lambda: timed(lambda: _take_all(connection, job.burst), job.size)


def _take_all(connection: psycopg.Connection, burst: int) -> None:
    last = 0
    while rows := connection.execute(TAKE, (last, burst)).fetchall():
        connection.commit()
        last = max(row[0] for row in rows)
    connection.commit()


@contextlib.contextmanager
def delete(job: Job) -> t.Iterator[Work]:
    """Delete one row, whose key is known, and commit; then the next."""
    with connect(job) as connection:
        _delete(connection, range(1, WARM_UP))
        yield lambda: timed(
            lambda: _delete(connection, range(1, job.size + 1)), job.size
        )


def _delete(connection: psycopg.Connection, keys: t.Iterable[int]) -> None:
    for key in keys:
        connection.execute("DELETE FROM signals WHERE id = %s", (key,))
        connection.commit()


@contextlib.contextmanager
def delete_after_commit(job: Job) -> t.Iterator[Work]:
    """Time what an autoflush cannot do without: to delete what was just committed."""
    with (
        connect(job) as connection,
        after_commits(job, lambda key: _delete(connection, [key])) as work,
    ):
        yield work


@contextlib.contextmanager
def after_commits(job: Job, work: t.Callable[[int], object]) -> t.Iterator[Work]:
    """Commit rows, and time the *work* that follows on each, given its key."""
    with connect(job) as connection:

        def run(count: int) -> Outcome:
            watch = Stopwatch()
            for _ in range(count):
                key = _insert(connection, job.payload)
                connection.commit()
                with watch.lap():
                    work(key)
            return _typical(watch)

        run(WARM_UP)
        yield lambda: run(job.size)


def _insert(connection: psycopg.Connection, payload: int) -> int:
    statement = "INSERT INTO signals (payload) VALUES (%s) RETURNING id"
    row = connection.execute(statement, ("x" * payload,)).fetchone()
    return int(row[0]) if row else 0


def _typical(watch: Stopwatch) -> Outcome:
    count = len(watch.laps)
    median = statistics.median(watch.laps)
    return Outcome(count, median * count, watch.cpu_seconds)
