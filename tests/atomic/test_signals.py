"""Signals that a block records are sent when it commits, once, and else never."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy.orm as sa_orm
from flask_sqlalchemy import SQLAlchemy
from signalbus import DBSerializationError
from signalbus import SignalBusMixin
from signalbus_atomic import AtomicProceduresMixin

if t.TYPE_CHECKING:
    from flask import Flask

pytestmark = [pytest.mark.databases, pytest.mark.usefixtures("waits")]


class BusFirst(SignalBusMixin, AtomicProceduresMixin, SQLAlchemy):
    """Atomic procedures and a bus."""


class BusSecond(AtomicProceduresMixin, SignalBusMixin, SQLAlchemy):
    """The same, the other way round."""


@pytest.fixture(params=[BusFirst, BusSecond])
def db(request: pytest.FixtureRequest, app: Flask) -> BusFirst | BusSecond:
    """Give a database with a bus, whichever comes first."""
    return request.param(app)


@pytest.fixture
def sent() -> list[int]:
    """Collect the numbers of the signals that are sent."""
    return []


@pytest.fixture
def signal(db: AtomicProceduresMixin, sent: list[int], app_ctx: object) -> type[t.Any]:
    """Give a signal model, with a table."""

    class Signal(db.Model):
        id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)
        number: sa_orm.Mapped[int]

        def send_signalbus_message(self) -> None:
            sent.append(self.number)

    db.create_all()
    return Signal


def test_signals_of_the_committed_try_are_sent_once(
    db: AtomicProceduresMixin, signal: type[t.Any], sent: list[int]
) -> None:
    """Tries that were rolled back send nothing, then or later."""
    numbers = iter([1, 2, 3])

    @db.atomic
    def announce() -> None:
        number = next(numbers)
        db.session.add(signal(number=number))
        db.session.flush()
        if number < 3:
            raise DBSerializationError

    announce()
    assert [3] == sent
    assert {signal: 0} == db.signalbus.count_pending()
    assert 0 == db.signalbus.flushmany()


def test_signals_of_a_failed_block_are_never_sent(
    db: AtomicProceduresMixin, signal: type[t.Any], sent: list[int]
) -> None:
    """Neither the block that fails nor the next one sends them."""

    @db.atomic
    def announce(number: int) -> None:
        db.session.add(signal(number=number))
        db.session.flush()
        if number == 1:
            raise LookupError

    with pytest.raises(LookupError):
        announce(1)
    announce(2)
    assert [2] == sent


def test_signals_of_a_refused_commit_wait_for_the_block(
    db: AtomicProceduresMixin, signal: type[t.Any], sent: list[int]
) -> None:
    """Nothing is sent before the outermost block has committed."""

    @db.atomic
    def inner() -> None:
        db.session.add(signal(number=1))

    @db.atomic
    def outer() -> None:
        inner()
        with pytest.raises(RuntimeError):
            db.session.commit()
        assert [] == sent

    outer()
    assert [1] == sent


def test_signals_of_a_refused_rollback_are_forgotten(
    db: AtomicProceduresMixin, signal: type[t.Any], sent: list[int]
) -> None:
    """A rollback that is refused has rolled back the signals as well."""

    @db.atomic
    def announce() -> None:
        db.session.add(signal(number=1))
        db.session.flush()
        db.session.rollback()

    with pytest.raises(RuntimeError):
        announce()
    db.atomic(lambda: db.session.add(signal(number=2)))()
    assert [2] == sent


def test_signals_of_racing_blocks_are_sent_once(
    db: AtomicProceduresMixin,
    signal: type[t.Any],
    sent: list[int],
    in_threads: t.Callable[..., list[Exception]],
) -> None:
    """Every block that commits sends its own signals."""

    def announce() -> None:
        for number in range(5):
            db.atomic(lambda: db.session.add(signal(number=number)))()  # noqa: B023 called at once

    assert [] == in_threads(announce, 4)
    assert sorted([*range(5)] * 4) == sorted(sent)
