"""Metrics and traces as users write them: this file is checked, and never run."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
import sqlalchemy.orm as sa_orm
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus_otel import Timed
from signalbus_otel import Traced
from signalbus_otel import current_traceparent
from signalbus_otel import current_tracestate
from signalbus_otel import traced
from signalbus_rabbitmq import Consumer
from signalbus_rabbitmq import MessageProperties
from signalbus_relay import running_relay
from typing_extensions import assert_type


class Base(sa_orm.DeclarativeBase):
    """The base of all models."""


db = SQLAlchemy(model_class=Base)
bus = SignalBus(db)


class OrderPaid(Traced, Timed, Base):
    """A signal that knows its trace and its time."""

    __tablename__ = "order_paid"
    order_id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)
    signalbus_broker = "rabbitmq"


class Orders(Consumer):
    """A consumer that continues traces."""

    @traced
    def process_message(self, body: bytes, properties: MessageProperties) -> bool:
        """Process an order."""
        return bool(body)


paid = OrderPaid(order_id=1)
assert_type(paid.traceparent, str | None)
assert_type(paid.recorded_at, dt.datetime | None)
assert_type(current_traceparent(), str | None)
assert_type(current_tracestate(), str | None)
assert_type(Orders().process_message(b"", MessageProperties()), bool)
sa.select(OrderPaid.recorded_at)

relay = running_relay(bus)
if relay is not None:
    assert_type(relay.listeners, dict[str, str])
