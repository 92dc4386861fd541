"""The operations of the shop, each in one transaction."""

from __future__ import annotations

from .extensions import db
from .models import Customer
from .models import CustomerRegistered
from .models import LedgerEntry
from .models import Order
from .models import OrderLine
from .models import OrderPlaced
from .models import Product
from .models import StockChanged
from .models import now


class OutOfStockError(Exception):
    """A product is out of stock."""


@db.atomic
def register_customer(email: str, name: str) -> Customer:
    """Return the customer, and register them first if they are new."""
    customer = Customer.get_instance(email)
    if customer is None:
        customer = Customer(email=email, name=name)
        with db.retry_on_integrity_error():
            db.session.add(customer)
        db.session.add(CustomerRegistered(email=email))
    return customer


@db.atomic
def place_order(email: str, name: str, quantities: dict[str, int]) -> int:
    """Order quantities of products, by SKU, and return the order number."""
    customer = register_customer(email, name)
    order = Order(email=Customer.get_pk_values(customer)[0], total=0)
    for sku, quantity in sorted(quantities.items()):
        product = take_from_stock(sku, quantity)
        order.lines.append(OrderLine(sku=sku, quantity=quantity))
        order.total += product.price * quantity
    db.session.add(order)
    db.session.flush()
    db.session.add(OrderPlaced(order_id=order.id))
    db.session.add(LedgerEntry(day=now().date(), amount=order.total))
    return order.id


@db.atomic
def take_from_stock(sku: str, quantity: int) -> Product:
    """Take a quantity of a product from stock, and return the product."""
    product = Product.lock_instance(sku)
    if product is None or product.in_stock < quantity:
        raise OutOfStockError(sku)
    product.in_stock -= quantity
    db.session.add(StockChanged(sku=sku, in_stock=product.in_stock))
    return product
