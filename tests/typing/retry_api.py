"""Failed signals as users write them: this file is checked, and never run."""

from __future__ import annotations

import datetime as dt
import typing as t

import sqlalchemy.orm as sa_orm
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import PartialDeliveryError
from signalbus import SignalBus
from signalbus import SignalBusError
from signalbus_retry import Failure
from signalbus_retry import FailureGroup
from signalbus_retry import Park
from signalbus_retry import RetryLater
from signalbus_retry import RetryPolicy
from signalbus_retry import discard
from signalbus_retry import failure_groups
from signalbus_retry import failures
from signalbus_retry import park
from signalbus_retry import replay
from typing_extensions import assert_type


class Base(sa_orm.DeclarativeBase):
    """The base of all models."""


app = Flask(__name__)
app.config["SIGNALBUS_RETRY"] = RetryPolicy(max_attempts=10, park_on=(LookupError,))
db = SQLAlchemy(app, model_class=Base)
bus = SignalBus(db)


class OrderPaid(Base):
    """A signal with a policy of its own, whose sender says what becomes of it."""

    __tablename__ = "order_paid"
    id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)
    signalbus_retry = RetryPolicy(
        max_attempts=5,
        first_delay=10,
        multiplier=1.5,
        max_delay=600,
        jitter=0,
        park_on=(ValueError, KeyError),
    )
    signalbus_on_parked = "skip"

    def send_signalbus_message(self) -> None:
        """Send one, later or never."""
        if self.id:
            raise RetryLater(2.5, "The service is busy.")
        raise Park("There is no such order.")


class OrderSent(Base):
    """A signal with a policy that is a dict, and with a burst method."""

    __tablename__ = "order_sent"
    id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)
    signalbus_retry: t.ClassVar = {"max_attempts": 3}

    @classmethod
    def send_signalbus_message(cls, signal: t.Any) -> None:
        """Send one."""
        cls.send_signalbus_messages([signal])

    @classmethod
    def send_signalbus_messages(cls, signals: t.Sequence[t.Any]) -> None:
        """Send many, and say what becomes of two of them."""
        if len(signals) > 1:
            raise PartialDeliveryError({0: RetryLater(60), 1: Park()})


assert_type(OrderPaid.signalbus_retry.delay(3), float)

for failure in failures(
    bus, [OrderPaid], keys=[(1,), (2,)], error="busy", parked=False
):
    assert_type(failure, Failure)
    assert_type(failure.attempts, int)
    assert_type(failure.first_failed_at, dt.datetime)
    assert_type(failure.next_attempt_at, dt.datetime | None)
    assert_type(failure.is_parked, bool)
    assert_type(failure.error, str)

for group in failure_groups(bus, parked=True):
    assert_type(group, FailureGroup)
    assert_type(group.count, int)


def keep(failure: Failure, columns: dict[str, t.Any]) -> tuple[t.Any, ...]:
    """Look at what is about to be deleted."""
    return (*failure.key, columns["id"])


assert_type(replay(bus), int)
assert_type(replay(bus, {OrderPaid}, keys=[(1,)], error="busy", parked=True), int)
assert_type(park(bus, OrderPaid, [(1,), (2,)], "Ask the accountant."), int)
assert_type(discard(bus, [OrderPaid, OrderSent], parked=True, before=keep), int)

park(bus, OrderPaid, [1])  # type: ignore[list-item]
RetryPolicy(max_attempts="5")  # type: ignore[arg-type]

try:
    bus.flush()
except RetryLater as later:
    assert_type(later.seconds, float)
except (Park, SignalBusError) as error:
    assert_type(error, Park | SignalBusError)
