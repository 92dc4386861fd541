"""Models that need the ORM when they are deleted are deleted by it."""

from __future__ import annotations

import typing as t

import pytest
import sqlalchemy as sa
from signalbus import PartialDeliveryError

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

WAYS = ["autoflush", "flush", "flushmany", "flushordered"]


@pytest.fixture
def commit_and_flush(bus: SignalBus, db: SQLAlchemy) -> t.Callable[..., None]:
    """Record signals, and flush them one way."""

    def run(way: str, *signals: object) -> None:
        bus.autoflush = way == "autoflush"
        db.session.add_all(signals)
        db.session.commit()
        if way != "autoflush":
            getattr(bus, way)()

    return run


@pytest.fixture
def item(db: SQLAlchemy) -> SignalModel:
    """Declare a model that belongs to an order."""

    class Item(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        order_id = db.Column(db.ForeignKey("order.id"), nullable=False)

    return Item


@pytest.fixture
def new_order(new_model: t.Any, item: SignalModel, db: SQLAlchemy) -> t.Any:
    """Declare a signal model whose deletion cascades to its items."""

    def make(**attributes: t.Any) -> SignalModel:
        items = db.relationship(item, cascade="all, delete-orphan")
        return new_model("Order", items=items, **attributes)

    return make


@pytest.mark.databases
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", ["instance", "row"])
def test_children_are_deleted_with_their_signal(
    db: SQLAlchemy,
    new_order: t.Any,
    item: SignalModel,
    wire: t.Any,
    commit_and_flush: t.Any,
    way: str,
    form: str,
) -> None:
    """The children that a relationship cascades to go with the signal."""
    order = new_order(form=form, burst=True, signalbus_burst_count=3)
    orders = [order(text=text, items=[item(), item()]) for text in "abcd"]
    commit_and_flush(way, *orders)

    assert ["a", "b", "c", "d"] == sorted(wire.sent)
    assert [] == db.session.scalars(sa.select(order)).all()
    assert [] == db.session.scalars(sa.select(item)).all()


@pytest.mark.databases
def test_kept_signal_keeps_its_children(
    bus: SignalBus,
    db: SQLAlchemy,
    new_order: t.Any,
    item: SignalModel,
    wire: t.Any,
    commit_and_flush: t.Any,
    pending: t.Any,
) -> None:
    """Of a burst that failed in part, the failed signals keep what is theirs."""

    def send_signalbus_messages(cls: SignalModel, signals: t.Iterable[t.Any]) -> None:
        bad = {i: ValueError() for i, one in enumerate(signals) if one.text == "bad"}
        raise PartialDeliveryError(bad)

    order = new_order(
        signalbus_burst_count=3,
        send_signalbus_messages=classmethod(send_signalbus_messages),
    )
    orders = [order(text=text, items=[item(), item()]) for text in ("a", "bad", "b")]
    commit_and_flush("autoflush", *orders)

    assert ["bad"] == pending(order)
    assert 2 == len(db.session.scalars(sa.select(item)).all())


@pytest.mark.databases
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", ["instance", "row"])
def test_versioned_signal_is_deleted(
    new_model: t.Any,
    wire: t.Any,
    commit_and_flush: t.Any,
    pending: t.Any,
    way: str,
    form: str,
) -> None:
    """A model with a version counter is sent and deleted like any other."""
    version = sa.Column(sa.Integer, nullable=False)
    model = new_model(
        form=form, version=version, __mapper_args__={"version_id_col": version}
    )
    commit_and_flush(way, model(text="a"), model(text="b"))

    assert ["a", "b"] == sorted(wire.sent)
    assert [] == pending(model)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", ["instance", "row"])
@pytest.mark.parametrize("name", ["before_delete", "after_delete"])
def test_listeners_hear_of_each_deletion(
    new_model: t.Any,
    commit_and_flush: t.Any,
    way: str,
    form: str,
    name: str,
) -> None:
    """Who listens to a model's deletions hears of each signal that was sent."""
    model = new_model(form=form, signalbus_burst_count=2)
    heard = []
    sa.event.listen(model, name, lambda mapper, connection, one: heard.append(one.text))
    commit_and_flush(way, model(text="a"), model(text="b"), model(text="c"))

    assert ["a", "b", "c"] == sorted(heard)


def test_listener_that_comes_late_is_heard(
    new_model: t.Any, commit_and_flush: t.Any, record: t.Any, bus: SignalBus
) -> None:
    """A listener may be added after the model's signals have been flushed before."""
    model = new_model(form="row")
    record(model, "early")
    bus.flush()
    heard = []
    sa.event.listen(
        model, "before_delete", lambda mapper, connection, one: heard.append(one.text)
    )
    commit_and_flush("flush", model(text="late"))

    assert ["late"] == heard


def test_children_of_another_kind_are_released(
    db: SQLAlchemy, new_model: t.Any, commit_and_flush: t.Any
) -> None:
    """Without a cascade, children lose their parent and stay, as the ORM does it."""

    class Note(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        order_id = db.Column(db.ForeignKey("order.id"))

    model = new_model("Order", form="row", notes=db.relationship(Note))
    commit_and_flush("flush", model(text="a", notes=[Note()]))

    assert [None] == db.session.scalars(sa.select(Note.order_id)).all()


def test_plain_table_is_deleted_by_one_statement(
    new_model: t.Any, bus: SignalBus, record: t.Any, statements: t.Any
) -> None:
    """A model that does not need the ORM takes one DELETE for each burst."""
    record(new_model(form="row", burst=True, signalbus_burst_count=5), *"abcdefghij")
    statements.clear()
    bus.flushmany()

    assert 2 == sum(text.startswith("DELETE") for text, _ in statements)
