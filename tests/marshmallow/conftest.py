"""A small shop: orders, and signals about them."""

from __future__ import annotations

import types
import typing as t

import pytest
import sqlalchemy as sa
import sqlalchemy.orm as sa_orm

if t.TYPE_CHECKING:
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus


@pytest.fixture
def shop(db: SQLAlchemy, bus: SignalBus) -> types.SimpleNamespace:
    """Give the models of a shop, configured, by name."""

    class Order(db.Model):
        id = db.Column(sa.Integer, primary_key=True)
        note = db.Column(sa.Text)
        paid = sa_orm.relationship("Paid", back_populates="order")

    class Paid(db.Model):
        id = db.Column(sa.Integer, primary_key=True)
        order_id = db.Column(sa.ForeignKey("order.id"), nullable=False)
        amount = db.Column(sa.Numeric(10, 2), nullable=False)
        at = db.Column(sa.DateTime)
        order = sa_orm.relationship("Order", back_populates="paid")

        def send_signalbus_message(self) -> None: ...

    sa_orm.configure_mappers()
    return types.SimpleNamespace(db=db, Order=Order, Paid=Paid)
