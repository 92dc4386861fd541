"""What signalbus executes for bursts of one, by the driver or SQLAlchemy alone.

The difference to the limits is what locking costs, and planning each time; the
difference to signalbus is what the library costs.
"""

from __future__ import annotations

import contextlib
import typing as t

import sqlalchemy as sa

from benchmarks.clock import timed
from benchmarks.subjects.database import WARM_UP
from benchmarks.subjects.database import after_commits
from benchmarks.subjects.database import connect

if t.TYPE_CHECKING:
    import psycopg

    from benchmarks.job import Job
    from benchmarks.subjects.program import Work

#: The statement of a walk through the table ...
NEXT = """
DELETE FROM signals WHERE id = (
    SELECT id FROM signals WHERE id > %(key)s
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
) RETURNING id, payload
"""

#: ... and that for a key which is known.
ONE = """
DELETE FROM signals WHERE id = (
    SELECT id FROM signals WHERE id = %(key)s FOR UPDATE SKIP LOCKED
) RETURNING id, payload
"""


@contextlib.contextmanager
def driver(job: Job) -> t.Iterator[Work]:
    """Take all rows, one after the other."""
    with connect(job) as connection:
        yield _walk(job, lambda key: _execute(connection, NEXT, key))


@contextlib.contextmanager
def driver_after_commit(job: Job) -> t.Iterator[Work]:
    """Take each row when it has been committed."""
    with connect(job) as connection:

        def take(key: int) -> None:
            _execute(connection, ONE, key)

        with after_commits(job, take) as work:
            yield work


@contextlib.contextmanager
def sqlalchemy(job: Job) -> t.Iterator[Work]:
    """Take all rows, one after the other."""
    with _engine(job) as engine, engine.connect() as connection:
        yield _walk(job, lambda key: _execute_through(connection, NEXT, key))


@contextlib.contextmanager
def sqlalchemy_after_commit(job: Job) -> t.Iterator[Work]:
    """Take each row when it has been committed, by a connection from the pool."""

    def take(key: int) -> None:
        with engine.connect() as connection:
            _execute_through(connection, ONE, key)

    with _engine(job) as engine, after_commits(job, take) as work:
        yield work


def _walk(job: Job, take: t.Callable[[int], None]) -> Work:
    """Warm up, and return what takes all rows."""

    def run(count: int) -> None:
        for key in range(count):
            take(key)

    run(WARM_UP)
    return lambda: timed(lambda: run(job.size), job.size)


def _execute(connection: psycopg.Connection, statement: str, key: int) -> None:
    connection.execute(statement, {"key": key}, prepare=False).fetchall()
    connection.commit()


def _execute_through(connection: sa.Connection, statement: str, key: int) -> None:
    with connection.begin():
        connection.exec_driver_sql(statement, {"key": key}).all()


@contextlib.contextmanager
def _engine(job: Job) -> t.Iterator[sa.Engine]:
    """Give an engine whose statements are planned each time."""
    engine = sa.create_engine(
        job.database_url, connect_args={"prepare_threshold": None}
    )
    try:
        yield engine
    finally:
        engine.dispose()
