"""The cases: first what the design makes promises of, then what speed depends on."""

from __future__ import annotations

import typing as t

from benchmarks.cases import COMMIT
from benchmarks.cases import DELETE
from benchmarks.cases import DELETE_AFTER
from benchmarks.cases import DRIVER
from benchmarks.cases import DRIVER_AFTER
from benchmarks.cases import SOCKET
from benchmarks.cases import SQLALCHEMY
from benchmarks.cases import SQLALCHEMY_AFTER
from benchmarks.cases import TAKE
from benchmarks.cases import THEIRS
from benchmarks.cases import Case
from benchmarks.cases import Goal
from benchmarks.cases import Subject
from benchmarks.cases import ours
from benchmarks.cases import theirs

FLUSHMANY = "bus:flushmany"

SIZES = (10_000, 100_000, 1_000_000)


def _signals_for_burst(burst: int) -> int:
    """Return how many signals take a second or so."""
    return min(100_000, 2_000 * burst)


def _subjects_for(pending: int) -> tuple[Subject, ...]:
    """Return who flushes so many: the predecessor once where it takes minutes."""
    rounds = 1 if pending == max(SIZES) else 3
    return (ours(FLUSHMANY), theirs(FLUSHMANY, rounds), TAKE)


PROMISED = (
    Case(
        "flushmany-rows",
        "flushmany, bursts of 1000, rows, sender that does nothing",
        (ours(FLUSHMANY), TAKE),
        goals=(Goal(0.4, "limit"),),
    ),
    Case(
        "flushmany-instances",
        "flushmany, bursts of 1000, instances, sender that does nothing",
        (ours(FLUSHMANY, "instances"), theirs(FLUSHMANY), TAKE),
        goals=(Goal(5, THEIRS),),
    ),
    Case(
        "rabbitmq",
        "flushmany to RabbitMQ, bursts of 5000, persistent, confirmed",
        (ours("relay:by_plugin"), theirs("relay:by_publisher"), SOCKET),
        goals=(Goal(0.8, "limit"),),
        burst=5000,
        broker=True,
    ),
    Case(
        "burst-1",
        "flushmany, bursts of 1, rows, sender that does nothing",
        (ours(FLUSHMANY), theirs(FLUSHMANY), SQLALCHEMY, DRIVER, DELETE),
        goals=(Goal(0.8, "limit"),),
        size=3000,
        burst=1,
    ),
    Case(
        "autoflush",
        "autoflush of one signal: time added to a commit",
        (
            ours("commits:autoflush", "instances"),
            theirs("commits:autoflush"),
            SQLALCHEMY_AFTER,
            DRIVER_AFTER,
            DELETE_AFTER,
            COMMIT,
        ),
        goals=(Goal(1 / 0.7, THEIRS),),
        size=1000,
        pending=False,
    ),
)

TABLE_SIZE = tuple(
    Case(
        f"table-size/{size}",
        f"{size:,} pending, bursts of 1000",
        _subjects_for(size),
        goals=(Goal(0.9, f"table-size/{min(SIZES)}"),) if size > min(SIZES) else (),
        size=size,
        fixed_size=True,
    )
    for size in SIZES
)

DEAD_ROWS = tuple(
    Case(
        f"dead-rows/{size}",
        f"{size:,} pending, while an old transaction keeps dead rows",
        _subjects_for(size),
        size=size,
        fixed_size=True,
        old_snapshot=True,
    )
    for size in SIZES
)

BURST_COUNT = tuple(
    Case(
        f"burst-count/{burst}",
        f"bursts of {burst}",
        (ours(FLUSHMANY), TAKE),
        size=_signals_for_burst(burst),
        burst=burst,
    )
    for burst in (1, 10, 100, 1000, 5000)
)

PROCESSES = tuple(
    Case(
        f"processes/{count}",
        f"{count} flushing at a time" if count > 1 else "one process",
        (ours(FLUSHMANY), TAKE),
        size=200_000,
        processes=count,
    )
    for count in (1, 2, 4)
)

RELAYS = Case(
    "rabbitmq-processes/2",
    "2 flushing to RabbitMQ at a time, bursts of 5000",
    (ours("relay:by_plugin"),),
    burst=5000,
    processes=2,
    broker=True,
)

PAYLOAD = tuple(
    Case(
        f"payload/{payload}",
        f"{payload:,} bytes each, bursts of 100",
        (ours(FLUSHMANY), TAKE),
        size=size,
        burst=100,
        payload=payload,
    )
    for payload, size in (
        (100, 50_000),
        (1_000, 50_000),
        (10_000, 10_000),
        (100_000, 2_000),
    )
)

RABBITMQ_BURST = tuple(
    Case(
        f"rabbitmq-burst/{burst}",
        f"to RabbitMQ, bursts of {burst}",
        (ours("relay:by_plugin"), SOCKET),
        size=max(20_000, 10 * burst),
        burst=burst,
        broker=True,
    )
    for burst in (1, 10, 100, 1000, 5000, 20_000)
)

RABBITMQ_PAYLOAD = tuple(
    Case(
        f"rabbitmq-payload/{payload}",
        f"{payload:,} bytes each to RabbitMQ, bursts of 100",
        (ours("relay:by_plugin"), SOCKET),
        size=size,
        burst=100,
        payload=payload,
        broker=True,
    )
    for payload, size in (
        (100, 20_000),
        (1_000, 20_000),
        (10_000, 5_000),
        (100_000, 1_000),
    )
)

RABBITMQ_FORM = (
    Case(
        "rabbitmq-form/publisher",
        "to RabbitMQ by the model's own method and the publisher",
        (ours("relay:by_publisher"), theirs("relay:by_publisher"), SOCKET),
        burst=5000,
        broker=True,
    ),
    Case(
        "rabbitmq-form/headers",
        "to RabbitMQ, with headers: properties of more than 64 bytes",
        (ours("relay:with_headers"), SOCKET),
        burst=5000,
        broker=True,
    ),
    Case(
        "rabbitmq-form/json",
        "to RabbitMQ, a marshmallow schema writes the bodies",
        (ours("relay:as_json"), SOCKET),
        burst=5000,
        broker=True,
    ),
    Case(
        "rabbitmq-form/no-database",
        "the publisher alone, without a database",
        (ours("relay:publish_only"), theirs("relay:publish_only"), SOCKET),
        pending=False,
        burst=5000,
        broker=True,
    ),
)

MEMORY = tuple(
    Case(
        f"memory/{form}",
        f"1,000,000 pending, {form}: see MiB",
        (ours(FLUSHMANY, form),),
        size=1_000_000,
        fixed_size=True,
        rounds=1,
    )
    for form in ("rows", "instances")
)

DELIVERY = (
    Case(
        "delivery",
        "autoflush: from the end of the commit to the call of the sender",
        (ours("commits:delivery", "instances"), theirs("commits:delivery")),
        size=1000,
        pending=False,
    ),
)

OTHER_DATABASES = tuple(
    Case(
        f"{database}/burst-{burst}",
        f"{name}, bursts of {burst}, sender that does nothing",
        (ours(FLUSHMANY), theirs(FLUSHMANY, rounds=3)),
        size=min(50_000, 1_000 * burst),
        burst=burst,
        database=database,
    )
    for database, name in (("mariadb", "MariaDB"), ("sqlite", "SQLite"))
    for burst in (1, 1000)
)

SETTINGS = (
    Case(
        "setting/psycopg2",
        "PostgreSQL through psycopg2, bursts of 1000",
        (ours(FLUSHMANY), TAKE),
        driver="psycopg2",
    ),
    Case(
        "setting/no-wait-for-disk-1",
        "synchronous_commit = off, bursts of 1",
        (ours(FLUSHMANY), DELETE),
        size=3000,
        burst=1,
        waits_for_disk=False,
    ),
    Case(
        "setting/no-wait-for-disk-1000",
        "synchronous_commit = off, bursts of 1000",
        (ours(FLUSHMANY), TAKE),
        waits_for_disk=False,
    ),
)

MILLION = (
    Case(
        "million",
        "one relay, 1,000,000 signals from PostgreSQL to RabbitMQ",
        (ours("over_time:relay"),),
        size=1_000_000,
        fixed_size=True,
        burst=5000,
        broker=True,
        rounds=1,
    ),
)

CASES: tuple[Case, ...] = (
    *PROMISED,
    *TABLE_SIZE,
    *DEAD_ROWS,
    *BURST_COUNT,
    *PROCESSES,
    RELAYS,
    *PAYLOAD,
    *RABBITMQ_FORM,
    *RABBITMQ_BURST,
    *RABBITMQ_PAYLOAD,
    *MEMORY,
    *DELIVERY,
    *OTHER_DATABASES,
    *SETTINGS,
    *MILLION,
)


def select(names: t.Sequence[str]) -> list[Case]:
    """Return the cases that have these names, or whose group has; all, if none given.

    :raises LookupError: if there is no such case.
    """
    for name in names:
        if not any(name in (case.name, case.group) for case in CASES):
            raise LookupError(f"There is no case {name!r}. See --list.")
    wanted = set(names)
    return [case for case in CASES if not wanted or wanted & {case.name, case.group}]
