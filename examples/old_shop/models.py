"""The models and the signal models of the shop."""

from __future__ import annotations

import datetime as dt
import typing as t

from marshmallow import Schema
from marshmallow import fields

from .extensions import db
from .messaging import publish


def now() -> dt.datetime:
    """Return the UTC time, without a time zone, as the database stores it."""
    return dt.datetime.now(tz=dt.timezone.utc).replace(tzinfo=None, microsecond=0)


class Customer(db.Model):
    """A customer."""

    email = db.Column(db.String(100), primary_key=True)
    name = db.Column(db.String(100), nullable=False)
    orders = db.relationship("Order", back_populates="customer")


class Product(db.Model):
    """A product."""

    sku = db.Column(db.String(20), primary_key=True)
    price = db.Column(db.Numeric(10, 2), nullable=False)
    in_stock = db.Column(db.Integer, nullable=False)


class Order(db.Model):
    """An order of a customer."""

    id = db.Column(db.Integer, primary_key=True, autoincrement=True)
    email = db.Column(db.ForeignKey("customer.email"), nullable=False)
    total = db.Column(db.Numeric(10, 2), nullable=False)
    placed_at = db.Column(db.DateTime, nullable=False, default=now)
    customer = db.relationship("Customer", back_populates="orders")
    lines = db.relationship("OrderLine", back_populates="order")


class OrderLine(db.Model):
    """A product in an order, with its quantity."""

    order_id = db.Column(db.ForeignKey("order.id"), primary_key=True)
    sku = db.Column(db.ForeignKey("product.sku"), primary_key=True)
    quantity = db.Column(db.Integer, nullable=False)
    order = db.relationship("Order", back_populates="lines")


class CustomerRegistered(db.Model):
    """Announce a new customer to marketing, in the format that it uses."""

    id = db.Column(db.Integer, primary_key=True, autoincrement=True)
    email = db.Column(db.String(100), nullable=False)

    class __marshmallow__(Schema):  # noqa: N801 the name is the bus's
        """The format of the message."""

        email = fields.String(data_key="e-mail")

    def send_signalbus_message(self) -> None:
        """Send it right after the commit."""
        publish([("customer.registered", self.__marshmallow_schema__.dumps(self))])


class OrderPlaced(db.Model):
    """Announce an order to the warehouse."""

    order_id = db.Column(db.ForeignKey("order.id"), primary_key=True)
    at = db.Column(db.DateTime, nullable=False, default=now)
    order = db.relationship("Order")

    def send_signalbus_message(self) -> None:
        """Send it right after the commit."""
        publish([("order.placed", OrderPlaced.__marshmallow_schema__.dumps(self))])


class StockChanged(db.Model):
    """Announce the stock to other shops, in bursts and without autoflush."""

    id = db.Column(db.Integer, primary_key=True, autoincrement=True)
    sku = db.Column(db.String(20), nullable=False)
    in_stock = db.Column(db.Integer, nullable=False)

    signalbus_autoflush = False
    signalbus_burst_count = 100

    def send_signalbus_message(self) -> None:
        """Send this signal."""
        self.send_signalbus_messages([self])

    @classmethod
    def send_signalbus_messages(cls, signals: t.Iterable[StockChanged]) -> None:
        """Send a burst."""
        dumps = cls.__marshmallow_schema__.dumps
        publish([("stock.changed", dumps(signal)) for signal in signals])


class LedgerEntry(db.Model):
    """Announce sales to accounting, by day, the largest amounts first."""

    id = db.Column(db.Integer, primary_key=True, autoincrement=True)
    day = db.Column(db.Date, nullable=False)
    amount = db.Column(db.Numeric(10, 2), nullable=False)

    signalbus_autoflush = False
    signalbus_order_by = (day, db.desc(amount))

    def send_signalbus_message(self) -> None:
        """Send the ledger entry."""
        publish([("ledger.entry", LedgerEntry.__marshmallow_schema__.dumps(self))])
