"""The dashboard as users write it: this file is checked, and never run."""

from __future__ import annotations

import typing as t

import flask
import sqlalchemy.orm as sa_orm
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus_dashboard import Authorize
from signalbus_dashboard import dashboard
from signalbus_relay import ModelReport
from signalbus_relay import SeenRelay
from signalbus_relay import relays
from signalbus_retry import Failure
from signalbus_retry import FailureGroup
from signalbus_retry.reading import count_failures
from signalbus_retry.reading import failure_page
from signalbus_retry.reading import find_failure
from signalbus_retry.reading import group_failures
from signalbus_retry.reading import key_text
from typing_extensions import assert_type

if t.TYPE_CHECKING:
    from werkzeug.wrappers import Response


class Base(sa_orm.DeclarativeBase):
    """The base of all models."""


app = Flask(__name__)
db = SQLAlchemy(app, model_class=Base)
bus = SignalBus(db)


class OrderPaid(Base):
    """A signal with a column that nobody sees."""

    __tablename__ = "order_paid"
    id: sa_orm.Mapped[int] = sa_orm.mapped_column(primary_key=True)
    card_number: sa_orm.Mapped[str]
    signalbus_broker = "rabbitmq"
    signalbus_hidden = ("card_number",)


def ask_the_login() -> Response | str | None:
    """Return a name, or lead to the login."""
    return flask.session.get("name") or flask.redirect("/login")


def is_local() -> bool:
    """Return whether the request comes from here."""
    return flask.request.remote_addr == "127.0.0.1"


authorize: Authorize = is_local
assert_type(dashboard(bus, authorize=ask_the_login), flask.Blueprint)
app.register_blueprint(dashboard(bus, authorize=authorize), url_prefix="/signalbus")

dashboard(bus, authorize="admin")  # type: ignore[arg-type]

for relay in relays(bus):
    assert_type(relay, SeenRelay)
    assert_type(relay.is_alive, bool)
    assert_type(relay.models["OrderPaid"], ModelReport)

counts = count_failures(bus, OrderPaid, error="account", parked=True, limit=100)
assert_type(counts.total, int)
page = failure_page(bus, OrderPaid, offset=50, count=10)
for failure in page.failures:
    assert_type(failure, Failure)
    assert_type(key_text(bus, OrderPaid, failure.key), str)
assert_type(group_failures(bus, OrderPaid), list[FailureGroup])
assert_type(find_failure(bus, OrderPaid, (1,)), Failure | None)
