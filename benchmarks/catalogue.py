"""The cases: first what the design makes promises of, then what speed depends on."""

from __future__ import annotations

import typing as t

from benchmarks.cases import DELETE
from benchmarks.cases import DELETE_AFTER
from benchmarks.cases import DRIVER
from benchmarks.cases import DRIVER_AFTER
from benchmarks.cases import LIMIT
from benchmarks.cases import SOCKET
from benchmarks.cases import SQLALCHEMY
from benchmarks.cases import SQLALCHEMY_AFTER
from benchmarks.cases import TAKE
from benchmarks.cases import THEIRS
from benchmarks.cases import Case
from benchmarks.cases import Goal
from benchmarks.cases import ours
from benchmarks.cases import theirs

FLUSHMANY = "bus:flushmany"
RELAY = "relay:by_plugin"

#: How often a case is measured at most that no goal depends on.
FEW = 3

PROMISED = (
    Case(
        "flushmany-rows",
        "bursts of 1000, rows",
        (ours(FLUSHMANY), TAKE),
        goal=Goal(0.4, LIMIT, "the limit"),
    ),
    Case(
        "flushmany-instances",
        "bursts of 1000, instances",
        (ours(FLUSHMANY, "instances"), theirs(FLUSHMANY), TAKE),
        goal=Goal(5, THEIRS, THEIRS),
    ),
    Case(
        "rabbitmq",
        "to RabbitMQ, bursts of 5000",
        (ours(RELAY), theirs("relay:by_publisher"), SOCKET),
        goal=Goal(0.8, LIMIT, "the limit"),
        burst=5000,
        broker=True,
    ),
    Case(
        "burst-1",
        "bursts of 1, rows",
        (ours(FLUSHMANY), theirs(FLUSHMANY), SQLALCHEMY, DRIVER, DELETE),
        goal=Goal(0.8, LIMIT, "the limit"),
        size=3000,
        burst=1,
    ),
    Case(
        "autoflush",
        "autoflush inline, added to a commit",
        (
            ours("commits:autoflush", "instances"),
            theirs("commits:autoflush"),
            SQLALCHEMY_AFTER,
            DRIVER_AFTER,
            DELETE_AFTER,
        ),
        goal=Goal(0.8, SQLALCHEMY.name, "SQLAlchemy alone"),
        in_time=True,
        size=1000,
        pending=False,
    ),
)

SIZES = (10_000, 100_000, 1_000_000)

TABLE_SIZE = tuple(
    Case(
        f"table-size/{size}",
        f"{size:,} pending",
        (ours(FLUSHMANY),),
        goal=Goal(0.9, f"table-size/{SIZES[0]}", f"{SIZES[0]:,} pending")
        if size > SIZES[0]
        else None,
        size=size,
        fixed_size=True,
    )
    for size in SIZES
)

DEAD_ROWS = Case(
    "dead-rows",
    "an old transaction keeps dead rows",
    (ours(FLUSHMANY),),
    old_snapshot=True,
    rounds=FEW,
)

BURST_COUNT = tuple(
    Case(
        f"burst-count/{burst}",
        f"bursts of {burst}",
        (ours(FLUSHMANY), TAKE),
        size=min(100_000, 2_000 * burst),
        burst=burst,
        rounds=FEW,
    )
    for burst in (10, 100, 5000)
)

PROCESSES = Case(
    "processes/2",
    "two processes",
    (ours(FLUSHMANY), TAKE),
    size=200_000,
    processes=2,
    rounds=FEW,
)

RABBITMQ = (
    *(
        Case(
            f"rabbitmq-burst/{burst}",
            f"to RabbitMQ, bursts of {burst}",
            (ours(RELAY),),
            size=20_000 if burst > 1 else 3_000,
            burst=burst,
            broker=True,
            rounds=FEW,
        )
        for burst in (1, 100)
    ),
    Case(
        "rabbitmq-headers",
        "to RabbitMQ, properties of more than 64 bytes",
        (ours("relay:with_headers"),),
        burst=5000,
        broker=True,
        rounds=FEW,
    ),
    Case(
        "rabbitmq-processes/2",
        "to RabbitMQ, two processes",
        (ours(RELAY),),
        burst=5000,
        processes=2,
        broker=True,
        rounds=FEW,
    ),
)

OTHER_DATABASES = tuple(
    Case(
        f"{database}/burst-{burst}",
        f"{name}, bursts of {burst}",
        (ours(FLUSHMANY), theirs(FLUSHMANY)),
        size=min(50_000, 1_000 * burst),
        burst=burst,
        database=database,
        rounds=FEW,
    )
    for database, name in (("mariadb", "MariaDB"), ("sqlite", "SQLite"))
    for burst in (1, 1000)
)

NO_WAIT = Case(
    "no-wait-for-disk",
    "`synchronous_commit = off`, bursts of 1",
    (ours(FLUSHMANY), DELETE),
    size=3000,
    burst=1,
    waits_for_disk=False,
    rounds=FEW,
)

CASES: tuple[Case, ...] = (
    *PROMISED,
    *TABLE_SIZE,
    DEAD_ROWS,
    *BURST_COUNT,
    PROCESSES,
    *RABBITMQ,
    *OTHER_DATABASES,
    NO_WAIT,
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
