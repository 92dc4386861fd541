"""What users write, for type checkers: this file is checked, and never run."""

from __future__ import annotations

import typing as t

import sqlalchemy.orm as sa_orm
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import BrokerUnavailableError
from signalbus import DBSerializationError
from signalbus import NoBrokerError
from signalbus import PartialDeliveryError
from signalbus import SignalBus
from signalbus import SignalBusError
from signalbus import SignalBusMixin
from signalbus import SignalModelError
from signalbus import get_models_to_flush
from signalbus import hookimpl
from signalbus import retry_on_deadlock
from signalbus.rows import SignalRows
from typing_extensions import assert_type


class Base(sa_orm.DeclarativeBase):
    """The base of all models."""


class CustomSQLAlchemy(SignalBusMixin, SQLAlchemy):
    """A database object with a bus."""


app = Flask(__name__)
db = CustomSQLAlchemy(app, model_class=Base)
assert_type(db.signalbus, SignalBus)

plain = SQLAlchemy()
bus = SignalBus(plain)
bus.autoflush = not bus.autoflush
assert_type(bus.autoflush, bool)


class OrderPaid(Base):
    """A signal that is sent as an instance."""

    __tablename__ = "order_paid"
    id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)
    signalbus_burst_count = 100
    signalbus_order_by = (id,)  # noqa: A003 the column

    def send_signalbus_message(self) -> None:
        """Send one."""


class OrderSent(Base):
    """A signal that is sent as a row, in bursts."""

    __tablename__ = "order_sent"
    id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)

    @classmethod
    def send_signalbus_message(cls, signal: t.Any) -> None:
        """Send one."""

    @classmethod
    def send_signalbus_messages(cls, signals: t.Iterable[t.Any]) -> None:
        """Send many, and say which were not confirmed."""
        failures = {n: ValueError(one.id) for n, one in enumerate(signals)}
        raise PartialDeliveryError(failures)


assert_type(bus.flush(), int)
assert_type(bus.flush([OrderPaid, OrderSent], wait=1.5), int)
assert_type(bus.flushmany({OrderPaid}), int)
assert_type(bus.flushordered(models=(model for model in [OrderPaid])), int)
assert_type(bus.get_signal_models(), list[type[t.Any]])
assert_type(bus.count_pending([OrderPaid])[OrderPaid], int)
bus.flushmany(get_models_to_flush(bus, ["OrderPaid"]))


class Pigeons:
    """A broker plugin."""

    @hookimpl
    def signalbus_send_burst(
        self, bus: SignalBus, model: type[t.Any], signals: t.Sequence[t.Any]
    ) -> bool | None:
        """Send a burst."""
        if model is not OrderPaid:
            raise BrokerUnavailableError
        return None

    @hookimpl(wrapper=True)
    def signalbus_burst_sent(self) -> t.Generator[None, None, None]:
        """Look at what others do."""
        return (yield)


bus.plugin_manager.register(Pigeons())

rows = SignalRows(bus, OrderPaid)
with rows.transaction() as connection:
    keys = rows.lock(connection, [(1,), (2,)])
    assert_type(keys, list[tuple[t.Any, ...]])
    assert_type(rows.present(connection, keys), list[tuple[t.Any, ...]])
    assert_type(rows.read(connection, keys), dict[tuple[t.Any, ...], dict[str, t.Any]])
    rows.delete(connection, keys)


@retry_on_deadlock(db.session, retries=2)
def pay(order: int, *, twice: bool = False) -> str:
    """Keep the types of what is decorated."""
    return f"{order} {twice}"


assert_type(pay(1, twice=True), str)

try:
    bus.flush()
except PartialDeliveryError as partial:
    assert_type(partial.failures, dict[int, Exception])
except (
    NoBrokerError,
    SignalModelError,
    DBSerializationError,
    SignalBusError,
) as error:
    assert_type(str(error), str)
