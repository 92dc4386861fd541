"""The bus works in transactions of its own, and leaves the user's session alone."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

METHODS = ["flush", "flushmany", "flushordered"]


@pytest.fixture
def customer(db: SQLAlchemy, app_ctx: object) -> t.Any:
    """Give an instance of the user's own, which is loaded and has changed."""

    class Customer(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String(50))

    db.create_all()
    with db.engine.begin() as connection:
        connection.execute(sa.insert(Customer.__table__), {"id": 1, "name": "Ada"})
    customer = db.session.get(Customer, 1)
    customer.name = "Grace"
    return customer


@pytest.fixture
def session_events(db: SQLAlchemy, customer: t.Any) -> list[str]:
    """Keep what happens to the user's session."""
    events: list[str] = []
    for name in ("before_commit", "after_commit", "after_rollback", "before_flush"):
        sa.event.listen(db.session(), name, lambda *_, name=name: events.append(name))
    sa.event.listen(
        db.session(), "after_transaction_end", lambda *_: events.append("ended")
    )
    return events


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("failure", [None, ValueError("boom"), ConnectionError()])
def test_flush_leaves_the_users_session_alone(
    bus: SignalBus,
    db: SQLAlchemy,
    customer: t.Any,
    session_events: list[str],
    new_model: t.Any,
    wire: t.Any,
    record: t.Any,
    form: str,
    failure: Exception | None,
    method: str,
) -> None:
    """A flush does not commit, roll back, expire or close ``db.session``."""
    record(new_model(form=form), "a")
    wire.cut = failure
    try:
        getattr(bus, method)()
    except (ValueError, OSError):
        assert failure

    assert [] == session_events
    assert "Grace" == customer.name
    assert customer in db.session.dirty
    assert set() == sa.inspect(customer).expired_attributes


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("method", METHODS)
def test_open_transaction_of_the_user_stays_open(
    bus: SignalBus,
    db: SQLAlchemy,
    customer: t.Any,
    greeting: SignalModel,
    record: t.Any,
    method: str,
) -> None:
    """What the user has written and not committed can still be rolled back."""
    record(greeting, "a")
    db.session.flush()

    assert 1 == getattr(bus, method)()
    db.session.rollback()
    assert "Ada" == customer.name


def test_autoflush_leaves_the_session_as_the_commit_did(
    bus: SignalBus, db: SQLAlchemy, customer: t.Any, greeting: SignalModel, wire: t.Any
) -> None:
    """After a commit that was flushed, the session has no transaction, no changes."""
    db.session.add(greeting(text="a"))
    db.session.commit()

    assert ["a"] == wire.sent
    assert not db.session().in_transaction()
    assert customer in db.session
    assert "Grace" == customer.name


def test_autoflush_expires_nothing(
    new_app: t.Any, db: SQLAlchemy, greeting: SignalModel, customer: t.Any
) -> None:
    """With ``expire_on_commit=False`` instances stay loaded, signals too."""
    db.session().expire_on_commit = False
    signal = greeting(text="a")
    db.session.add(signal)
    db.session.commit()

    assert "a" == signal.text
    assert set() == sa.inspect(customer).expired_attributes


def test_session_can_be_used_again_after_a_failing_autoflush(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any, pending: t.Any
) -> None:
    """A sender that raises leaves a session that works."""
    wire.cut = ValueError("boom")
    db.session.add(greeting(text="a"))
    db.session.commit()
    wire.cut = None
    db.session.add(greeting(text="b"))
    db.session.commit()

    assert ["b"] == wire.sent
    assert ["a"] == pending(greeting)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("failure", [None, ValueError("boom"), ConnectionError()])
def test_connections_are_given_back(
    bus: SignalBus,
    db: SQLAlchemy,
    new_model: t.Any,
    wire: t.Any,
    record: t.Any,
    form: str,
    failure: Exception | None,
    method: str,
) -> None:
    """After a flush, good or bad, no connection of the pool is in use."""
    record(new_model(form=form), "a", "b")
    wire.cut = failure
    try:
        getattr(bus, method)()
    except (ValueError, OSError):
        assert failure

    assert 0 == db.engine.pool.checkedout()


@pytest.mark.databases
def test_autoflush_gives_its_connection_back(
    db: SQLAlchemy, greeting: SignalModel, wire: t.Any
) -> None:
    """After a commit that was flushed, no connection of the pool is in use."""
    wire.failures["bad"] = ValueError("boom")
    db.session.add_all([greeting(text="a"), greeting(text="bad")])
    db.session.commit()

    assert 0 == db.engine.pool.checkedout()


@pytest.mark.parametrize("method", METHODS)
def test_flush_uses_one_connection(
    db: SQLAlchemy, bus: SignalBus, new_model: t.Any, record: t.Any, method: str
) -> None:
    """One flush never holds more than one connection of a database at a time."""
    used: list[int] = []

    def send_signalbus_message(self: object) -> None:
        used.append(db.engine.pool.checkedout())

    record(new_model(send_signalbus_message=send_signalbus_message), "a", "b")
    getattr(bus, method)()

    assert [1, 1] == used


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("form", ["instance", "row"])
def test_sender_may_use_the_users_session(
    bus: SignalBus, db: SQLAlchemy, new_model: t.Any, record: t.Any, form: str
) -> None:
    """A sender that reads and commits in ``db.session`` does not touch the burst."""
    letters = new_model("Letter", signalbus_autoflush=False)

    def send(*args: object) -> None:
        db.session.add(letters(text="from a sender"))
        db.session.commit()

    method = classmethod(send) if form == "row" else send
    model = new_model(send_signalbus_message=method)
    record(model, "a", "b")

    assert 2 == bus.flush([model])
    assert {letters: 2, model: 0} == bus.count_pending()
