"""The views of the shop."""

from __future__ import annotations

from typing import Any

from flask import Blueprint
from flask import jsonify
from flask import request

from .models import Order
from .procedures import OutOfStockError
from .procedures import place_order

orders = Blueprint("orders", __name__, url_prefix="/orders")


@orders.route("", methods=["POST"])
def place() -> Any:
    """Place an order."""
    data = request.get_json()
    try:
        number = place_order(data["email"], data["name"], data["quantities"])
    except OutOfStockError as error:
        return jsonify(out_of_stock=str(error)), 409
    return jsonify(order=number), 201


@orders.route("/<int:number>")
def show(number: int) -> Any:
    """Show an order."""
    order = Order.query.filter_by(id=number).first_or_404()
    return jsonify(Order.__marshmallow__(exclude=["total"]).dump(order))
