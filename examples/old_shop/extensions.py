"""The extensions that the shop uses."""

from __future__ import annotations

from flask_signalbus import AtomicProceduresMixin
from flask_signalbus import SignalBusMixin
from flask_signalbus.rabbitmq import Publisher
from flask_sqlalchemy import SQLAlchemy


class CustomSQLAlchemy(AtomicProceduresMixin, SignalBusMixin, SQLAlchemy):
    """A database with signals and atomic procedures."""


db = CustomSQLAlchemy()
publisher = Publisher()
