"""Send to nobody: what the bus costs, and the database. Flushes, and autoflushes."""

from __future__ import annotations

import contextlib
import statistics
import time
import typing as t

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

from benchmarks import program
from benchmarks import spec
from benchmarks.spec import LIMIT
from benchmarks.spec import Case
from benchmarks.spec import Goal
from benchmarks.spec import Subject

if t.TYPE_CHECKING:
    import psycopg

    from benchmarks.machine import Database

#: Take a burst and delete it at once. By the rows' places on disk, and from where the
#: last burst ended: this is the fastest that we know.
BURST = """
DELETE FROM signals WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM signals WHERE id > %s
    ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
)) RETURNING id, payload
"""

#: What signalbus executes to take a row: the next one, or the one of a known key.
SAME = """DELETE FROM signals WHERE id = (
    SELECT id FROM signals WHERE {} FOR UPDATE SKIP LOCKED
) RETURNING id, payload"""
NEXT = SAME.format("id > %(last)s ORDER BY id LIMIT 1")
ONE = SAME.format("id = %(key)s")

#: Ways to take a row: three with these statements; by its key, prepared, unlocked.
SESSION = "SQLAlchemy's session alone, same statements"
WAYS = (
    SQLALCHEMY := "SQLAlchemy alone, same statements",
    "bare driver, same statements",
    LEAST := f"{LIMIT}: DELETE, COMMIT",
)

#: How many rows or commits are not counted at first, and their text.
WARM_UP, TEXT = 50, "x" * 100


def flush(job: spec.Job, form: str) -> spec.Steps:
    """Flush by the bus; senders get *form*: rows or instances."""
    with program.running(job) as running:
        yield from running.flush(job, **program.idle_sender(form))


def inline(
    job: spec.Job, form: str = "instances", disabled_plugins: str = "relay,retry"
) -> spec.Steps:
    """Commit with autoflush and without; tell the difference of the medians."""
    with program.running(job, disabled_plugins) as running:
        business, sender = running.model("business"), program.idle_sender(form)
        flushed = running.model("signals", **sender)
        kept = running.model("kept", signalbus_autoflush=False, **sender)
        session = running.db.session
        if "retry" not in disabled_plugins:  # it has a table
            running.db.create_all()

        def commit(model: t.Any) -> float:
            start = time.perf_counter()
            session.add(business(payload=TEXT))
            session.add(model(payload=TEXT))
            session.commit()
            seconds = time.perf_counter() - start
            session.remove()
            return seconds

        for count in (WARM_UP, job.size):
            pairs = [(-commit(kept), commit(flushed)) for _ in range(count)]
            yield count * sum(map(statistics.median, zip(*pairs, strict=True)))


@contextlib.contextmanager
def connect(job: spec.Job) -> t.Iterator[psycopg.Connection]:
    """Connect by the driver alone."""
    import psycopg  # the predecessor's environment does not have it

    address = job.database_url.replace("postgresql+psycopg:", "postgresql:")
    with psycopg.connect(address) as connection:
        yield connection


@contextlib.contextmanager
def taking(job: spec.Job, way: str, same: str) -> t.Iterator[t.Callable[[int], None]]:
    """Give what takes the row of a key and commits; *same* is signalbus's statement."""
    from benchmarks.machine import metadata  # its packages are not the predecessor's

    unprepared = {"prepare_threshold": None}
    engine = sa.create_engine(job.database_url, connect_args=unprepared)

    def execute(key: int) -> None:
        if way == LEAST:
            driver.execute("DELETE FROM signals WHERE id = %s", (key,))
        else:
            values = {"key": key, "last": key - 1}
            driver.execute(same, values, prepare=False).fetchall()
        driver.commit()

    def execute_through(key: int) -> None:
        values = {"key": key, "last": key - 1}
        again = contextlib.nullcontext(kept) if same == NEXT else engine.connect()
        with again as connection, connection.begin():
            connection.exec_driver_sql(same, values).all()

    def load(key: int) -> None:
        with sa_orm.Session(engine) as session, session.begin():
            session.scalars(select, {"key": key}).all()

    model = type("Signal", (), {})
    sa_orm.registry().map_imperatively(model, metadata.tables["signals"])
    statement = sa.text(same.replace("%(key)s", ":key"))
    select = sa.select(model).from_statement(statement)
    ways = {SQLALCHEMY: execute_through, SESSION: load}
    with connect(job) as driver, engine.connect() as kept:  # by a walk through a table
        yield ways.get(way, execute)
    engine.dispose()


def take_bursts(job: spec.Job) -> spec.Steps:
    """Delete the rows burst by burst, fetch what they held, and commit."""
    with connect(job) as connection:
        for _ in ("warm up", "work"):
            last = 0
            while rows := connection.execute(BURST, (last, job.burst)).fetchall():
                connection.commit()
                last = max(row[0] for row in rows)
            connection.commit()
            yield None


def take_rows(job: spec.Job, way: str) -> spec.Steps:
    """Take row by row, in one of the ways of :func:`taking`."""
    with taking(job, way, NEXT) as take:
        for count in (WARM_UP, job.size):
            for key in range(1, count + 1):
                take(key)
            yield None


def take_after_commit(job: spec.Job, way: str) -> spec.Steps:
    """Time what takes a row that was just committed; tell the median."""
    insert = "INSERT INTO signals (payload) VALUES (%s) RETURNING id"
    take_one = taking(job, way, ONE)
    with connect(job) as connection, take_one as take:

        def commit() -> float:
            ((key,),) = connection.execute(insert, (TEXT,)).fetchall()
            connection.commit()
            start = time.perf_counter()
            take(key)
            return time.perf_counter() - start

        for count in (WARM_UP, job.size):
            yield count * statistics.median(commit() for _ in range(count))


@contextlib.contextmanager
def old_snapshot(database: Database) -> t.Iterator[None]:
    """Keep a transaction open that still sees all rows, so that none can go."""
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="REPEATABLE READ")
        connection.execute(sa.text("SELECT count(*) FROM signals"))
        yield


ROWS = Subject(spec.OURS, flush, {"form": "rows"})
INSTANCES = Subject(spec.OURS, flush, {"form": "instances"})
THEIRS = Subject(spec.THEIRS, flush, {"form": "instances"}, "flask_signalbus")
TAKE = Subject(f"{LIMIT}: DELETE … RETURNING, COMMIT", take_bursts)
BURSTS = (INSTANCES, THEIRS, TAKE)
ONES = (ROWS, THEIRS, *(Subject(way, take_rows, {"way": way}) for way in WAYS))
COMMITS = (
    Subject(spec.OURS, inline, {"form": "rows"}),
    *(Subject(way, take_after_commit, {"way": way}) for way in WAYS),
)
LOADS = (
    Subject(spec.OURS, inline, {"form": "instances"}),
    Subject(spec.THEIRS, inline, {"form": "instances"}, library="flask_signalbus"),
    Subject(SESSION, take_after_commit, {"way": SESSION}),
)
FLAT = Goal(0.9, "10,000 pending")
INLINE = "autoflush inline, added to a commit"
THIN = Goal(0.8, "SQLAlchemy alone")
THIN_LOADS = Goal(0.8, "SQLAlchemy's session alone")


def _other(name: str, title: str, size: int, burst: int) -> Case:
    database = name.partition("/")[0]
    return Case(name, title, ONES[:2], size=size, burst=burst, database=database)


CASES = (
    Case("flushmany-rows", "bursts of 1000, rows", (ROWS, TAKE), Goal(0.4, LIMIT)),
    Case(
        "flushmany-instances", "bursts of 1000, instances", BURSTS, Goal(5, spec.THEIRS)
    ),
    Case("burst-1", "bursts of 1, rows", ONES, Goal(0.8, LIMIT), size=3000, burst=1),
    Case("autoflush", f"{INLINE}, rows", COMMITS, THIN, "µs", size=1000, pending=False),
    Case(
        "autoflush-instances",
        f"{INLINE}, instances",
        LOADS,
        THIN_LOADS,
        "µs",
        size=1000,
        pending=False,
    ),
    Case("table-size/10000", "10,000 pending", (ROWS,), size=10_000),
    Case("table-size/100000", "100,000 pending", (ROWS,), FLAT),
    Case("table-size/1000000", "1,000,000 pending", (ROWS,), FLAT, size=1_000_000),
    Case(
        "dead-rows", "an old transaction keeps dead rows", (ROWS,), prepare=old_snapshot
    ),
    Case("burst-count/10", "bursts of 10", (ROWS, TAKE), size=20_000, burst=10),
    Case("burst-count/100", "bursts of 100", (ROWS, TAKE), burst=100),
    Case("burst-count/5000", "bursts of 5000", (ROWS, TAKE), burst=5000),
    Case("processes/2", "two processes", (ROWS, TAKE), size=200_000, processes=2),
    _other("mariadb/burst-1", "MariaDB, bursts of 1", 1000, burst=1),
    _other("mariadb/burst-1000", "MariaDB, bursts of 1000", 50_000, burst=1000),
    _other("sqlite/burst-1", "SQLite, bursts of 1", 1000, burst=1),
    _other("sqlite/burst-1000", "SQLite, bursts of 1000", 50_000, burst=1000),
    Case(
        "no-wait-for-disk",
        "`synchronous_commit = off`, bursts of 1",
        (ROWS, ONES[-1]),
        size=3000,
        burst=1,
        url_query={"options": "-csynchronous_commit=off"},
    ),
)
