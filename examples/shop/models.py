"""The models of the shop, and the signal models that announce its orders."""

from __future__ import annotations

import typing as t
from datetime import datetime
from datetime import timezone

import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBusMixin
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

from examples.shop import routes
from examples.shop.broker import FileBroker


class Database(SignalBusMixin, SQLAlchemy):
    """A database that sends signals: `db.signalbus` is its bus."""


db = Database()
db.signalbus.plugin_manager.register(FileBroker())


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(tzinfo=None)


#: Where the signals go. For another broker, change this line, and set what it needs.
Route: t.Any = routes.default()


class Announcement(Route):
    """What all signals of the shop share."""

    signalbus_burst_count = 25


class Order(db.Model):
    """An order of the shop."""

    __tablename__ = "shop_order"  # "order" is a reserved word in SQL

    id: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[str] = mapped_column(sa.String(100))
    cents: Mapped[int]
    is_paid: Mapped[bool] = mapped_column(default=False)


class OrderPlaced(Announcement, db.Model):
    """The signal that an order was placed."""

    __tablename__ = "shop_order_placed"

    order_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    customer: Mapped[str] = mapped_column(sa.String(100))
    cents: Mapped[int]
    placed_at: Mapped[datetime] = mapped_column(default=_now)

    signalbus_order_by = (placed_at, order_id)  # for `flask signalbus flushordered`


class OrderPaid(Announcement, db.Model):
    """The signal that an order was paid."""

    __tablename__ = "shop_order_paid"

    order_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    customer: Mapped[str] = mapped_column(sa.String(100))
    paid_at: Mapped[datetime] = mapped_column(default=_now)
