"""A shop whose signals are sent by a plugin that somebody else wrote."""

from __future__ import annotations

import sqlalchemy.orm as sa_orm
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus

app = Flask(__name__)
app.config.from_prefixed_env("SHOP")
db = SQLAlchemy(app)
SignalBus(db)


class OrderPaid(db.Model):
    """Tells that an order was paid."""

    signalbus_broker = "filebroker"

    order_id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)
    amount: sa_orm.Mapped[int]


@app.cli.command()
def pay() -> None:
    """Pay an order."""
    db.create_all()
    db.session.add(OrderPaid(order_id=7, amount=100))
    db.session.commit()
