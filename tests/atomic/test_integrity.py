"""``retry_on_integrity_error`` takes a broken constraint for a lost race."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
from signalbus import DBSerializationError

if t.TYPE_CHECKING:
    from signalbus_atomic import AtomicProceduresMixin

pytestmark = pytest.mark.usefixtures("waits")


@pytest.fixture
def insert_elsewhere(
    db: AtomicProceduresMixin, account: type[t.Any]
) -> t.Callable[..., None]:
    """Insert a row in a transaction of its own."""

    def insert_elsewhere(**values: object) -> None:
        with db.engine.begin() as connection:
            connection.execute(sa.insert(account).values(balance=0, **values))

    return insert_elsewhere


@pytest.mark.databases("postgresql", "psycopg2", "mariadb")
def test_the_block_sees_the_row_the_second_time(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
    insert_elsewhere: t.Callable[..., None],
) -> None:
    """Who comes second runs again, and finds what the first one inserted."""
    found = []

    @db.atomic
    def get_or_create() -> None:
        found.append(account.get_instance(1))
        if found[-1] is None:
            if len(found) == 1:
                insert_elsewhere(id=1)
            with db.retry_on_integrity_error():
                db.session.add(account(id=1, balance=9))

    get_or_create()
    assert [None, 1] == [instance and instance.id for instance in found]
    assert {1: 0} == saved()


def test_an_error_that_is_no_race_comes_to_the_caller(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """When the tries are used up, the cause is told."""
    db.atomic(lambda: db.session.add(account(id=1)))()

    @db.atomic(tries=2)
    def create() -> None:
        with db.retry_on_integrity_error():
            db.session.add(account(id=1))

    with pytest.raises(DBSerializationError) as caught:
        create()
    assert isinstance(caught.value.__cause__, sa.exc.IntegrityError)


@pytest.mark.databases
def test_a_failed_flush_does_not_spoil_the_next_try(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """The session that the error left unusable is ready again."""
    db.atomic(lambda: db.session.add(account(id=1)))()
    keys = iter([1, 1, 2])

    @db.atomic
    def create() -> None:
        with db.retry_on_integrity_error():
            db.session.add(account(id=next(keys)))

    create()
    assert {1: 0, 2: 0} == saved()


def test_a_caught_error_is_a_race_all_the_same(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """The transaction is lost, even if the function does not pass the error on."""
    db.atomic(lambda: db.session.add(account(id=1)))()
    keys = iter([1, 2])

    @db.atomic
    def create() -> None:
        try:
            with db.retry_on_integrity_error():
                db.session.add(account(id=next(keys)))
        except DBSerializationError:
            pass

    create()
    assert {1: 0, 2: 0} == saved()


def test_what_was_added_before_is_no_race(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """An error of what was pending before is raised as it is."""
    db.atomic(lambda: db.session.add(account(id=1)))()

    @db.atomic
    def create() -> None:
        db.session.add(account(id=1))
        with db.retry_on_integrity_error():
            pass

    with pytest.raises(sa.exc.IntegrityError):
        create()


def test_other_integrity_errors_are_not_tried_again(
    db: AtomicProceduresMixin,
    account: type[t.Any],
    saved: t.Callable[[], dict[int, int]],
) -> None:
    """Without it, an integrity error is an error, and the session is usable."""
    db.atomic(lambda: db.session.add(account(id=1)))()
    calls = []

    @db.atomic
    def create() -> None:
        calls.append("create")
        db.session.add(account(id=1))

    with pytest.raises(sa.exc.IntegrityError):
        create()
    assert ["create"] == calls
    db.atomic(lambda: db.session.add(account(id=2)))()
    assert {1: 0, 2: 0} == saved()
