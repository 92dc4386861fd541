"""The old import names as users write them: this file is checked, and never run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import flask_signalbus
import flask_signalbus.atomic
import flask_signalbus.rabbitmq
import flask_signalbus.signalbus_cli
import flask_signalbus.utils
import signalbus
import signalbus_rabbitmq
from flask_sqlalchemy import SQLAlchemy
from typing_extensions import assert_type

if TYPE_CHECKING:
    from flask.cli import AppGroup


class CustomSQLAlchemy(
    flask_signalbus.AtomicProceduresMixin, flask_signalbus.SignalBusMixin, SQLAlchemy
):
    """A database object as of old."""


db = CustomSQLAlchemy()
assert_type(db.signalbus, signalbus.SignalBus)
assert_type(flask_signalbus.SignalBus(db), signalbus.SignalBus)


@db.atomic
@flask_signalbus.utils.retry_on_deadlock(db.session)
def double(number: int) -> int:
    """Keep the types of what is decorated."""
    return 2 * number


assert_type(double(1), int)
assert_type(
    flask_signalbus.rabbitmq.Message("", "queue", b""), signalbus_rabbitmq.Message
)

group: AppGroup = flask_signalbus.signalbus_cli.signalbus
error: signalbus.SignalBusError = flask_signalbus.atomic.DBSerializationError()
