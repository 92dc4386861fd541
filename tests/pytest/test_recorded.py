"""What counts as recorded, and what does not."""

from __future__ import annotations

import contextlib
import threading
import typing as t

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from signalbus import SignalModelError

if t.TYPE_CHECKING:
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel
    from signalbus_pytest import RecordedSignals

Commit: t.TypeAlias = "t.Callable[..., None]"


def _ids(signals: t.Iterable[t.Any]) -> list[int]:
    return [signal.order_id for signal in signals]


def test_committed_signals_are_recorded_in_their_order(
    db: SQLAlchemy,
    commit: Commit,
    recorded_signals: RecordedSignals,
    order_placed: SignalModel,
    order_paid: SignalModel,
) -> None:
    """Commit by commit, and in the order in which signals were added."""
    commit(order_placed(order_id=3, cents=1), order_paid(order_id=2, cents=1))
    commit(order_placed(order_id=1, cents=1))

    assert [3, 2, 1] == _ids(recorded_signals)
    assert [3, 1] == _ids(recorded_signals(order_placed))
    assert 3 == len(recorded_signals)


def test_signals_are_instances_that_no_session_has(
    db: SQLAlchemy,
    commit: Commit,
    recorded_signals: RecordedSignals,
    order_placed: SignalModel,
) -> None:
    """They are read long after the session has expired or closed its own."""
    commit(order_placed(order_id=1, cents=5))
    db.session.remove()
    (signal,) = recorded_signals(order_placed)

    assert isinstance(signal, order_placed)
    assert sa.inspect(signal, raiseerr=True).detached
    assert (1, 5, None) == (signal.order_id, signal.cents, signal.note)


def test_signal_stays_recorded_when_it_is_sent(
    bus: SignalBus,
    commit: Commit,
    recorded_signals: RecordedSignals,
    order_paid: SignalModel,
) -> None:
    """Its row is gone, and the record is not."""
    commit(order_paid(order_id=1, cents=1))
    bus.flush()

    assert [1] == _ids(recorded_signals)


def test_values_are_those_of_the_commit(
    db: SQLAlchemy, recorded_signals: RecordedSignals, order_placed: SignalModel
) -> None:
    """A signal may change between its insertion and the commit."""
    signal = order_placed(order_id=1, cents=1)
    db.session.add(signal)
    db.session.flush()
    signal.cents = 2
    db.session.flush()
    db.session.expire_all()
    db.session.commit()

    assert 2 == recorded_signals.assert_recorded(order_placed).cents


def test_values_that_the_database_generates_are_known(
    db: SQLAlchemy,
    signalbus_bus: SignalBus,
    commit: Commit,
    recorded_signals: RecordedSignals,
) -> None:
    """Defaults, expressions and keys, and columns that are loaded only when used."""

    class Noted(db.Model):  # type: ignore[misc,name-defined]
        id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)
        state: sa_orm.Mapped[str] = sa_orm.mapped_column(server_default="new")
        total: sa_orm.Mapped[int] = sa_orm.mapped_column("sum")
        text: sa_orm.Mapped[str | None] = sa_orm.mapped_column(deferred=True)
        signalbus_broker = "pigeons"

    db.create_all()
    commit(Noted(total=sa.literal(1) + 1))

    signal = recorded_signals.assert_recorded(Noted, id=1, state="new", total=2)
    assert signal.text is None


def test_rolled_back_signals_are_not_recorded(
    db: SQLAlchemy, recorded_signals: RecordedSignals, order_placed: SignalModel
) -> None:
    """Neither those of a transaction, nor those of a savepoint."""
    db.session.add(order_placed(order_id=1, cents=1))
    db.session.flush()
    db.session.rollback()
    db.session.add(order_placed(order_id=2, cents=1))
    with contextlib.suppress(LookupError), db.session.begin_nested():
        db.session.add(order_placed(order_id=3, cents=1))
        db.session.flush()
        raise LookupError
    with db.session.begin_nested():
        db.session.add(order_placed(order_id=4, cents=1))
    db.session.commit()

    assert [2, 4] == _ids(recorded_signals)


def test_failed_transactions_record_nothing(
    db: SQLAlchemy,
    commit: Commit,
    recorded_signals: RecordedSignals,
    order_placed: SignalModel,
) -> None:
    """The database refuses the second signal, so the first is not recorded either."""
    with pytest.raises(sa.exc.IntegrityError):
        commit(order_placed(order_id=1, cents=1), order_placed(order_id=2))
    db.session.rollback()

    recorded_signals.assert_not_recorded()


def test_deleted_signals_are_not_recorded(
    db: SQLAlchemy, recorded_signals: RecordedSignals, order_placed: SignalModel
) -> None:
    """Unless the deletion is rolled back."""
    gone, kept = order_placed(order_id=1, cents=1), order_placed(order_id=2, cents=1)
    db.session.add_all([gone, kept])
    db.session.flush()
    db.session.delete(gone)
    with contextlib.suppress(LookupError), db.session.begin_nested():
        db.session.delete(kept)
        db.session.flush()
        raise LookupError
    db.session.commit()

    assert [2] == _ids(recorded_signals)


def test_expunged_signals_are_recorded_if_they_were_inserted(
    db: SQLAlchemy, recorded_signals: RecordedSignals, order_placed: SignalModel
) -> None:
    """Their rows are committed, and will be sent."""
    inserted, added = order_placed(order_id=1, cents=1), order_placed(order_id=2)
    db.session.add(inserted)
    db.session.flush()
    db.session.add(added)
    for signal in (inserted, added):
        db.session.expunge(signal)
    db.session.commit()

    assert [1] == _ids(recorded_signals)


def test_signals_of_closed_sessions_are_not_recorded(
    db: SQLAlchemy, recorded_signals: RecordedSignals, order_placed: SignalModel
) -> None:
    """A session that ends without a commit has recorded nothing."""
    db.session.add(order_placed(order_id=1, cents=1))
    db.session.flush()
    db.session.remove()

    recorded_signals.assert_not_recorded()
    recorded_signals.uncommitted.assert_not_recorded()


def test_uncommitted_signals_are_a_list_of_their_own(
    db: SQLAlchemy, recorded_signals: RecordedSignals, order_placed: SignalModel
) -> None:
    """Inserted or only added: what a commit would record now."""
    signal = order_placed(order_id=1, cents=1)
    db.session.add(signal)
    db.session.flush()
    signal.cents = 3
    db.session.add(order_placed(order_id=2, cents=2))

    assert [(1, 3), (2, 2)] == [
        (each.order_id, each.cents) for each in recorded_signals.uncommitted
    ]
    recorded_signals.assert_not_recorded()
    db.session.commit()
    recorded_signals.uncommitted.assert_not_recorded()
    assert [1, 2] == _ids(recorded_signals)


@pytest.mark.parametrize("returning", [False, True])
def test_bulk_inserts_are_recorded(
    db: SQLAlchemy,
    recorded_signals: RecordedSignals,
    order_placed: SignalModel,
    order_paid: SignalModel,
    returning: bool,
) -> None:
    """What ``session.execute(insert(Model))`` inserts is recorded, with all values."""
    statement: t.Any = sa.insert(order_paid)
    if returning:
        statement = statement.returning(order_paid)
    rows = [{"order_id": 1, "cents": 1}, {"order_id": 2, "cents": 2}]
    result = db.session.execute(statement, rows)
    assert not returning or [1, 2] == _ids(result.scalars())
    db.session.execute(sa.insert(order_placed).values(order_id=3, cents=3))
    db.session.commit()
    db.session.execute(sa.insert(order_placed).values(order_id=4, cents=4))
    db.session.rollback()

    assert [(1, 1), (2, 1)] == [
        (each.order_id, each.count) for each in recorded_signals(order_paid)
    ]
    assert [3] == _ids(recorded_signals(order_placed))


def test_any_session_counts(
    db: SQLAlchemy, recorded_signals: RecordedSignals, order_placed: SignalModel
) -> None:
    """One that the test has made itself is as good as the app's."""
    with sa_orm.Session(db.engine) as session, session.begin():
        session.add(order_placed(order_id=1, cents=1))

    assert [1] == _ids(recorded_signals)


def test_any_thread_counts(
    app: Flask,
    commit: Commit,
    recorded_signals: RecordedSignals,
    order_placed: SignalModel,
) -> None:
    """What threads commit is recorded, each signal once."""

    def work(first: int) -> None:
        with app.app_context():
            for number in range(10):
                commit(order_placed(order_id=first + number, cents=1))

    threads = [threading.Thread(target=work, args=(n * 10,)) for n in range(1, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert list(range(10, 40)) == sorted(_ids(recorded_signals))


def test_other_models_are_not_recorded(
    db: SQLAlchemy, commit: Commit, recorded_signals: RecordedSignals
) -> None:
    """What is no signal is nothing to us, and asking for it is an error."""

    class Order(db.Model):  # type: ignore[misc,name-defined]
        id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)

    db.create_all()
    commit(Order())

    recorded_signals.assert_not_recorded()
    with pytest.raises(SignalModelError, match="Order is not a signal model"):
        recorded_signals(Order)


def test_a_model_is_not_its_subclasses(
    db: SQLAlchemy, commit: Commit, recorded_signals: RecordedSignals
) -> None:
    """As everywhere in signalbus, a model that inherits from another is one apart."""

    class Event(db.Model):  # type: ignore[misc,name-defined]
        id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)
        kind: sa_orm.Mapped[str] = sa_orm.mapped_column()
        signalbus_broker = "pigeons"
        __mapper_args__: t.ClassVar = {
            "polymorphic_on": "kind",
            "polymorphic_identity": "event",
        }

    class Placed(Event):
        __mapper_args__: t.ClassVar = {"polymorphic_identity": "placed"}

    db.create_all()
    commit(Placed())

    recorded_signals.assert_recorded(Placed, kind="placed")
    recorded_signals.assert_not_recorded(Event)


def test_preparations_can_be_forgotten(
    commit: Commit, recorded_signals: RecordedSignals, order_placed: SignalModel
) -> None:
    """After ``clear()``, what was recorded before does not count."""
    commit(order_placed(order_id=1, cents=1))
    recorded_signals.clear()
    commit(order_placed(order_id=2, cents=1))

    assert [2] == _ids(recorded_signals)
