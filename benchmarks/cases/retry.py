"""Flush with signalbus-retry: while nothing fails, and behind many parked signals."""

from __future__ import annotations

import time
import typing as t

import sqlalchemy as sa

from benchmarks import program
from benchmarks import spec
from benchmarks.cases import database
from benchmarks.spec import OURS
from benchmarks.spec import Case
from benchmarks.spec import Goal
from benchmarks.spec import Subject

WITH = f"{OURS}, with signalbus-retry"
BEHIND = f"{OURS}, behind 100,000 parked signals"
WITHOUT = "without signalbus-retry"
NONE_PARKED = "none parked"

#: Signals in front of all others, and their keys.
IN_FRONT = sa.text("INSERT INTO signals (id, payload) VALUES (:id, repeat('x', 100))")


def flush(job: spec.Job, form: str = "rows", parked: int = 0) -> spec.Steps:
    """Flush by the bus; *parked* signals are in front."""
    with program.running(job, disabled_plugins="relay") as running:
        model = running.signals(job, **program.idle_sender(form))
        running.db.create_all()
        running.bus.flushmany()
        yield None
        keys = [(-number,) for number in range(1, parked + 1)]
        _park(running, model, keys)
        start = time.perf_counter()
        running.bus.flushmany()
        yield time.perf_counter() - start


def _park(running: program.Program, model: t.Any, keys: list[tuple[int]]) -> None:
    """Record signals with *keys*, and park them; bring the server to rest."""
    if not keys:
        return
    from signalbus_retry import park  # its packages are not the predecessor's

    running.db.session.execute(IN_FRONT, [{"id": key} for (key,) in keys])
    running.db.session.commit()
    park(running.bus, model, keys)
    engine = running.db.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
        connection.execute(sa.text("CHECKPOINT"))


ROWS = (
    Subject(WITH, flush),
    Subject(WITHOUT, database.flush, {"form": "rows"}),
)
PARKED = (
    Subject(BEHIND, flush, {"parked": 100_000}, empties_table=False),
    Subject(NONE_PARKED, flush),
)
COMMITS = (
    Subject(WITH, database.inline, {"form": "rows", "disabled_plugins": "relay"}),
    Subject(WITHOUT, database.inline, {"form": "rows"}),
)
CASES = (
    Case(
        "retry/healthy",
        "signalbus-retry, nothing fails, bursts of 1000, rows",
        ROWS,
        Goal(0.95, WITHOUT),
    ),
    Case(
        "retry/parked",
        "signalbus-retry, 100,000 parked in front, bursts of 1000, rows",
        PARKED,
        Goal(0.8, NONE_PARKED),
    ),
    Case(
        "retry/burst-1",
        "signalbus-retry, nothing fails, bursts of 1",
        ROWS,
        size=3000,
        burst=1,
    ),
    Case(
        "retry/autoflush",
        f"signalbus-retry, {database.INLINE}, rows",
        COMMITS,
        unit="µs",
        size=1000,
        pending=False,
    ),
)
