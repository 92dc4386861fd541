"""How tests use the fixtures of signalbus: this file is checked, and never run."""

from __future__ import annotations

import typing as t
from unittest import mock

import pytest
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus import SignalBusMixin
from signalbus.messages import Message
from signalbus.testing import MemoryBroker
from signalbus.testing import SentSignal
from signalbus.testing import autoflush
from signalbus.testing import joining
from signalbus_pytest import UncommittedSignals
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column
from typing_extensions import assert_type

if t.TYPE_CHECKING:
    from signalbus_pytest import FlushSignals
    from signalbus_pytest import RecordedSignals


class Base(DeclarativeBase):
    """The base of the models."""


class Database(SignalBusMixin, SQLAlchemy):
    """A database that has a bus."""


class OrderPlaced(Base):
    """A signal model."""

    __tablename__ = "order_placed"

    order_id: Mapped[int] = mapped_column(primary_key=True)
    count: Mapped[int]


db = Database(model_class=Base)


@pytest.fixture
def signalbus_bus() -> SignalBus:
    """Give the bus."""
    return db.signalbus


def test_recorded(recorded_signals: RecordedSignals) -> None:
    """Signals have the types of their models."""
    placed = recorded_signals.assert_recorded(OrderPlaced, order_id=7)
    assert_type(placed, OrderPlaced)
    assert_type(placed.order_id, int)
    some = recorded_signals.assert_recorded(OrderPlaced, order_id=mock.ANY, count=2)
    assert_type(some, list[OrderPlaced])
    assert_type(recorded_signals(OrderPlaced, {"count": int}), list[OrderPlaced])
    assert_type(len(recorded_signals), int)
    assert_type(list(recorded_signals), list[t.Any])
    recorded_signals.assert_not_recorded(OrderPlaced, order_id=lambda value: value > 3)
    recorded_signals.assert_not_recorded()
    assert_type(recorded_signals.uncommitted, UncommittedSignals)
    recorded_signals.uncommitted.assert_recorded(OrderPlaced, {"count": 1})
    recorded_signals.clear()


def test_sent(memory_broker: MemoryBroker, flush_signals: FlushSignals) -> None:
    """What was sent has a message."""
    memory_broker.refuse(lambda signal: signal.order_id == 7)
    memory_broker.fail(ValueError)
    memory_broker.fail(ValueError("no"), lambda signal: signal.order_id == 7)
    memory_broker.hang()
    assert_type(memory_broker.wait_for_caller(timeout=1), bool)
    memory_broker.time_out(stored=True)
    memory_broker.recover()
    sent = flush_signals([OrderPlaced])
    assert_type(sent, list[SentSignal])
    assert_type(sent[0].message, Message | None)
    assert_type(sent[0].exchange, str | None)
    assert_type(sent[0].body, bytes)
    with flush_signals.joined():
        db.signalbus.count_pending()


def test_without_pytest() -> None:
    """The parts that the fixtures are made of."""
    with autoflush(db.signalbus, "background"), joining(lambda declaration: None):
        db.signalbus.flush()
