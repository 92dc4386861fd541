"""Blocks that race in earnest, on real databases."""

from __future__ import annotations

import threading
import typing as t

import pytest
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from signalbus_atomic import AtomicProceduresMixin

THREADS = 4


EVERYWHERE = pytest.mark.databases("sqlite", "postgresql", "psycopg2", "mariadb")


@EVERYWHERE
@pytest.mark.parametrize(
    ("method", "times"), [("get_instance", 250), ("lock_instance", 50)]
)
def test_no_increment_is_lost(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
    in_threads: t.Callable[..., list[Exception]],
    method: str,
    times: int,
    database: str,
) -> None:
    """Threads that increment one row count together, locking it or not."""
    times = min(times, 50) if database == "sqlite" else times
    db.atomic(lambda: db.session.add(account(id=1)))()

    @db.atomic
    def increment() -> None:
        getattr(account, method)(1).balance += 1

    def increment_often() -> None:
        for _ in range(times):
            increment()

    assert [] == in_threads(increment_often, THREADS)
    assert {1: THREADS * times} == saved()


@EVERYWHERE
def test_one_of_racing_inserts_comes_first(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
    in_threads: t.Callable[..., list[Exception]],
    database: str,
) -> None:
    """All callers succeed, and there is one row, with what all of them added."""
    barrier = threading.Barrier(THREADS)
    patience = 0.3 if database == "sqlite" else 10

    def deposit() -> None:
        @db.atomic
        def deposit_once() -> None:
            instance = account.lock_instance(1)
            if not barrier.broken:
                wait(barrier, patience)
            if instance is None:
                with db.retry_on_integrity_error():
                    instance = account(id=1, balance=0)
                    db.session.add(instance)
            instance.balance += 1

        deposit_once()

    assert [] == in_threads(deposit, THREADS)
    assert {1: THREADS} == saved()


@pytest.mark.databases("postgresql", "psycopg2", "mariadb")
def test_deadlocks_are_resolved(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
    in_threads: t.Callable[..., list[Exception]],
) -> None:
    """Two blocks that lock two rows in opposite orders both succeed."""
    db.atomic(lambda: db.session.add_all([account(id=1), account(id=2)]))()
    barrier = threading.Barrier(2)
    orders = iter([(1, 2), (2, 1)])

    def cross() -> None:
        first, second = next(orders)

        @db.atomic
        def cross_once() -> None:
            account.lock_instance(first).balance += 1
            if not barrier.broken:
                wait(barrier)
            account.lock_instance(second).balance += 1

        cross_once()

    assert [] == in_threads(cross, 2)
    assert {1: 2, 2: 2} == saved()


@pytest.mark.databases("postgresql", "psycopg2")
def test_a_serialization_failure_at_commit_is_tried_again(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
    in_threads: t.Callable[..., list[Exception]],
) -> None:
    """SERIALIZABLE transactions may be refused as late as at their commit."""
    db.engine.update_execution_options(isolation_level="SERIALIZABLE")
    db.atomic(lambda: db.session.add_all([account(id=1), account(id=2)]))()
    barrier = threading.Barrier(2)
    ids = iter([1, 2])
    tries = []

    def skew() -> None:
        own = next(ids)

        @db.atomic
        def skew_once() -> None:
            tries.append(own)
            total = db.session.scalar(sa.select(sa.func.sum(account.balance)))
            if not barrier.broken:
                wait(barrier)
            account.get_instance(own).balance = total + 1

        skew_once()

    assert [] == in_threads(skew, 2)
    assert [1, 2] == sorted(saved().values())
    assert 2 < len(tries)


@pytest.mark.databases("postgresql", "psycopg2", "mariadb")
def test_a_connection_that_is_killed_is_not_tried_again(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
    database: str,
) -> None:
    """An error that is no race is raised, and the session is ready for use."""
    kill = {
        "postgresql": "SELECT pg_terminate_backend(pg_backend_pid())",
        "mariadb": "KILL CONNECTION_ID()",
    }[database]

    @db.atomic
    def killed() -> None:
        db.session.add(account(id=1))
        db.session.flush()
        db.session.execute(sa.text(kill))

    with pytest.raises(sa.exc.DBAPIError):
        killed()
    db.atomic(lambda: db.session.add(account(id=2)))()
    assert {2: 0} == saved()


def wait(barrier: threading.Barrier, patience: float = 10) -> None:
    """Meet the other threads at *barrier*, once; they may be unable to come."""
    try:
        barrier.wait(patience)
    except threading.BrokenBarrierError:
        return
    barrier.abort()
