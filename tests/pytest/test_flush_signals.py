"""What ``flush_signals`` sends, returns and raises."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from signalbus import BrokerUnavailableError
from signalbus import SignalBusError
from signalbus.testing import MemoryBroker
from signalbus.testing import SentSignal

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel
    from signalbus_pytest import FlushSignals
    from signalbus_pytest import RecordedSignals

Commit: t.TypeAlias = "t.Callable[..., None]"


def _ids(sent: t.Iterable[SentSignal]) -> list[int]:
    return [each.values["order_id"] for each in sent]


def test_what_was_sent_is_returned_in_its_order(
    commit: Commit,
    memory_broker: MemoryBroker,
    flush_signals: FlushSignals,
    order_placed: SignalModel,
    order_paid: SignalModel,
) -> None:
    """Models with methods of their own included; those have values only."""
    commit(order_paid(order_id=2, cents=1), order_placed(order_id=1, cents=1))
    paid, placed = flush_signals()

    assert SentSignal(order_paid, {"order_id": 2, "cents": 1, "count": 1}) == paid
    assert SentSignal(order_placed, {"order_id": 1, "cents": 1, "note": None}) == placed
    assert [placed] == memory_broker.sent
    with pytest.raises(SignalBusError, match="A method of OrderPaid has sent"):
        _ = paid.json
    assert [] == flush_signals()


def test_some_models_can_be_flushed(
    commit: Commit,
    flush_signals: FlushSignals,
    order_placed: SignalModel,
    order_paid: SignalModel,
) -> None:
    """Those that are given, as with ``bus.flush``."""
    commit(order_paid(order_id=2, cents=1), order_placed(order_id=1, cents=1))

    assert [1] == _ids(flush_signals([order_placed]))
    assert [2] == _ids(flush_signals())


def test_what_failed_is_raised(
    commit: Commit,
    memory_broker: MemoryBroker,
    flush_signals: FlushSignals,
    order_placed: SignalModel,
) -> None:
    """The others are sent."""
    memory_broker.fail(LookupError, lambda signal: signal.order_id == 2)
    commit(*[order_placed(order_id=number, cents=1) for number in (1, 2, 3)])

    with pytest.raises(LookupError):
        flush_signals()
    assert [1, 3] == _ids(memory_broker.sent)


def test_nothing_is_sent_without_being_asked(
    bus: SignalBus,
    commit: Commit,
    memory_broker: MemoryBroker,
    order_placed: SignalModel,
) -> None:
    """Autoflush is off, as long as a fixture of ours is used."""
    commit(order_placed(order_id=1, cents=1))

    assert [] == memory_broker.sent
    assert bus.autoflush is False


def test_other_brokers_take_what_they_are_registered_for(
    bus: SignalBus,
    commit: Commit,
    memory_broker: MemoryBroker,
    flush_signals: FlushSignals,
    order_placed: SignalModel,
) -> None:
    """A test may register one of its own, later."""
    bus.plugin_manager.register(MemoryBroker("pigeons"))
    commit(order_placed(order_id=1, cents=1))

    assert [1] == _ids(flush_signals())
    assert [] == memory_broker.sent


def test_uncommitted_signals_of_the_transaction_stay(
    db: SQLAlchemy,
    rolled_back: object,
    commit: Commit,
    recorded_signals: RecordedSignals,
    flush_signals: FlushSignals,
    order_placed: SignalModel,
) -> None:
    """The flush sees them, and holds them back: in production, it would not."""
    commit(order_placed(order_id=1, cents=1))
    db.session.add(order_placed(order_id=2, cents=1))
    db.session.flush()
    db.session.add(order_placed(order_id=3, cents=1))

    assert [1] == _ids(flush_signals())
    db.session.commit()
    assert [2, 3] == _ids(flush_signals())
    assert 3 == len(recorded_signals)


def test_order_of_a_key_holds_in_the_transaction(
    db: SQLAlchemy,
    rolled_back: object,
    commit: Commit,
    memory_broker: MemoryBroker,
    flush_signals: FlushSignals,
) -> None:
    """A signal that fails holds back those of its key, as always."""

    class Moved(db.Model):  # type: ignore[misc,name-defined]
        order_id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)
        account: sa_orm.Mapped[int] = sa_orm.mapped_column()
        signalbus_broker = "pigeons"
        signalbus_burst_count = 10
        signalbus_ordering_key = "account"

    db.metadata.create_all(db.session.connection())
    commit(*[Moved(order_id=number, account=number % 2) for number in range(6)])
    memory_broker.refuse(lambda signal: signal.order_id == 3)

    with pytest.raises(ValueError, match="refused"):
        flush_signals()
    assert [0, 1, 2, 4] == sorted(_ids(memory_broker.sent))
    memory_broker.recover()
    assert [3, 5] == _ids(flush_signals())


def test_instances_are_deleted_with_what_hangs_on_them(
    db: SQLAlchemy, rolled_back: sa.Connection, commit: Commit, flush_signals: t.Any
) -> None:
    """Models that need a session for their deletion get one, in the transaction."""

    class Line(db.Model):  # type: ignore[misc,name-defined]
        id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)
        letter_id: sa_orm.Mapped[int] = sa_orm.mapped_column(
            sa.ForeignKey("letter.order_id")
        )

    class Letter(db.Model):  # type: ignore[misc,name-defined]
        order_id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)
        lines = sa_orm.relationship(Line, cascade="all, delete-orphan")

        def send_signalbus_message(self) -> None:
            """Read the lines."""
            if not self.lines:
                raise LookupError(self)

    db.metadata.create_all(db.session.connection())
    commit(Letter(order_id=1, lines=[Line(), Line()]))

    assert [1] == _ids(flush_signals())
    assert [] == rolled_back.execute(sa.select(Line)).all()


def test_broker_that_is_down_raises(
    commit: Commit,
    memory_broker: MemoryBroker,
    flush_signals: FlushSignals,
    order_placed: SignalModel,
) -> None:
    """And takes everything when it is back."""
    memory_broker.available = False
    commit(order_placed(order_id=1, cents=1))
    with pytest.raises(BrokerUnavailableError):
        flush_signals()
    memory_broker.recover()

    assert [1] == _ids(flush_signals())


def test_flush_does_not_wait_for_a_session_of_the_test(
    db: SQLAlchemy, flush_signals: FlushSignals, order_placed: SignalModel
) -> None:
    """SQLite has one writer, and the test would hang for a while."""
    db.session.add(order_placed(order_id=1, cents=1))
    assert [] == flush_signals()
    db.session.flush()
    with pytest.raises(SignalBusError, match=r"inserted OrderPlaced\(order_id=1, "):
        flush_signals()
    db.session.commit()

    assert [1] == _ids(flush_signals())
