"""The shop's own commands."""

from __future__ import annotations

from flask.cli import AppGroup

from .extensions import db
from .models import Product

shop = AppGroup("shop", help="Run the shop.")

PRODUCTS = {"tea": "3.50", "milk": "1.20", "cake": "12.00"}


@shop.command("open")
def open_shop() -> None:
    """Create the tables and the products."""
    db.create_all()

    @db.execute_atomic
    def products() -> int:
        for sku, price in PRODUCTS.items():
            db.session.merge(Product(sku=sku, price=price, in_stock=10))
        return len(PRODUCTS)

    print(f"{products} products")
