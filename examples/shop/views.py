"""The views. Each records its signals in the transaction of its data."""

from __future__ import annotations

import typing as t

from flask import Blueprint
from flask import abort
from flask import request

from examples.shop.models import Order
from examples.shop.models import OrderPaid
from examples.shop.models import OrderPlaced
from examples.shop.models import db

shop = Blueprint("shop", __name__)


@shop.post("/orders")
def place_order() -> tuple[dict[str, t.Any], int]:
    """Place an order, unless the customer's card is refused."""
    wish = request.get_json()
    order = Order(customer=wish["customer"], cents=wish["cents"])
    db.session.add(order)
    db.session.flush()  # gives the order its number
    db.session.add(
        OrderPlaced(order_id=order.id, customer=order.customer, cents=order.cents)
    )
    if wish["card"] == "refused":
        # Nothing was committed, so neither the order nor its signal exists.
        return {"error": "The card was refused."}, 402
    db.session.commit()
    return {"id": order.id}, 201


@shop.post("/orders/<int:order_id>/payment")
def pay_order(order_id: int) -> tuple[dict[str, t.Any], int]:
    """Pay an order, once."""
    order = db.get_or_404(Order, order_id)
    if order.is_paid:
        abort(409)
    order.is_paid = True
    db.session.add(OrderPaid(order_id=order.id, customer=order.customer))
    db.session.commit()
    return {"id": order.id}, 201


def may_see_dashboard() -> bool:
    """Return whether the request comes from this machine; yours would ask who it is."""
    return request.remote_addr in {"127.0.0.1", "::1"}


@shop.cli.command("create-tables")
def create_tables() -> None:
    """Create the tables of the shop."""
    db.create_all()
