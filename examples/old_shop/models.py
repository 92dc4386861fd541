"""What the shop knows, and what it tells to others."""

from __future__ import annotations

import datetime as dt
import typing as t

from marshmallow import Schema
from marshmallow import fields

from .extensions import db
from .messaging import publish


def now() -> dt.datetime:
    """Return the time, without a zone, as the database keeps it."""
    return dt.datetime.now(tz=dt.timezone.utc).replace(tzinfo=None, microsecond=0)


class Customer(db.Model):
    """Somebody who buys."""

    email = db.Column(db.String(100), primary_key=True)
    name = db.Column(db.String(100), nullable=False)
    orders = db.relationship("Order", back_populates="customer")


class Product(db.Model):
    """Something to buy."""

    sku = db.Column(db.String(20), primary_key=True)
    price = db.Column(db.Numeric(10, 2), nullable=False)
    in_stock = db.Column(db.Integer, nullable=False)


class Order(db.Model):
    """What a customer buys at once."""

    id = db.Column(db.Integer, primary_key=True, autoincrement=True)
    email = db.Column(db.ForeignKey("customer.email"), nullable=False)
    total = db.Column(db.Numeric(10, 2), nullable=False)
    placed_at = db.Column(db.DateTime, nullable=False, default=now)
    customer = db.relationship("Customer", back_populates="orders")
    lines = db.relationship("OrderLine", back_populates="order")


class OrderLine(db.Model):
    """How many of a product."""

    order_id = db.Column(db.ForeignKey("order.id"), primary_key=True)
    sku = db.Column(db.ForeignKey("product.sku"), primary_key=True)
    quantity = db.Column(db.Integer, nullable=False)
    order = db.relationship("Order", back_populates="lines")


class CustomerRegistered(db.Model):
    """Tell marketing about a customer, in the format that it asked for."""

    id = db.Column(db.Integer, primary_key=True, autoincrement=True)
    email = db.Column(db.String(100), nullable=False)

    class __marshmallow__(Schema):  # noqa: N801 the name is the bus's
        """The format."""

        email = fields.String(data_key="e-mail")

    def send_signalbus_message(self) -> None:
        """Send it, right after the commit."""
        publish([("customer.registered", self.__marshmallow_schema__.dumps(self))])


class OrderPlaced(db.Model):
    """Tell the warehouse to pack."""

    order_id = db.Column(db.ForeignKey("order.id"), primary_key=True)
    at = db.Column(db.DateTime, nullable=False, default=now)
    order = db.relationship("Order")

    def send_signalbus_message(self) -> None:
        """Send it, right after the commit."""
        publish([("order.placed", OrderPlaced.__marshmallow_schema__.dumps(self))])


class StockChanged(db.Model):
    """Tell other shops what is left: often, so in bursts, and not at once."""

    id = db.Column(db.Integer, primary_key=True, autoincrement=True)
    sku = db.Column(db.String(20), nullable=False)
    in_stock = db.Column(db.Integer, nullable=False)

    signalbus_autoflush = False
    signalbus_burst_count = 100

    def send_signalbus_message(self) -> None:
        """Send this one."""
        self.send_signalbus_messages([self])

    @classmethod
    def send_signalbus_messages(cls, signals: t.Iterable[StockChanged]) -> None:
        """Send many."""
        dumps = cls.__marshmallow_schema__.dumps
        publish([("stock.changed", dumps(signal)) for signal in signals])


class LedgerEntry(db.Model):
    """Tell the accountant about money, by day, and the large amounts first."""

    id = db.Column(db.Integer, primary_key=True, autoincrement=True)
    day = db.Column(db.Date, nullable=False)
    amount = db.Column(db.Numeric(10, 2), nullable=False)

    signalbus_autoflush = False
    signalbus_order_by = (day, db.desc(amount))

    def send_signalbus_message(self) -> None:
        """Send it."""
        publish([("ledger.entry", LedgerEntry.__marshmallow_schema__.dumps(self))])
