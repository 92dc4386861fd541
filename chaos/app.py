"""The app under test: all its programs import it, and the environment configures it.

``FLASK_…`` are its settings. ``CHAOS_BROKER`` and ``CHAOS_QUEUE`` say where its signals
go, ``CHAOS_LEDGER`` is the file to which :class:`Filed` writes,
``CHAOS_BURST`` the burst count. The file ``CHAOS_READY`` is created when all is set up.
"""

from __future__ import annotations

import os
import time
import typing as t
from pathlib import Path

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus_retry import RetryPolicy

from chaos import full_disk
from chaos import points
from chaos import without
from chaos.books import is_poison
from chaos.ledger_file import LedgerBroker
from chaos.ledger_file import LedgerFile
from chaos.ledger_file import LedgerSender

if t.TYPE_CHECKING:
    from signalbus.typing import Signal

#: What stands before the time until which a signal fails, in its number.
UNRIPE = "unripe"

#: How many signals a burst has, of every model.
BURST = int(os.environ["CHAOS_BURST"])

#: How many rows there are for which transactions fight.
ACCOUNTS = 4

#: Quick, so that a scenario of a few seconds parks its poison.
POLICY = RetryPolicy(
    max_attempts=int(os.environ.get("CHAOS_ATTEMPTS", "3")),
    first_delay=0.2,
    max_delay=1.0,
)

app = Flask("chaos")
app.config.from_prefixed_env()
db = SQLAlchemy(app)
bus = SignalBus(db)


class Entry(db.Model):
    """What was recorded: a row for each signal, written in its transaction.

    :ivar key: the ordering key of the signal, if it has one.
    :ivar position: the place of the signal among those with its key.
    """

    number = sa.Column(sa.String(60), primary_key=True)
    model = sa.Column(sa.String(20), nullable=False)
    key = sa.Column(sa.String(40))
    position = sa.Column(sa.Integer)


class Account(db.Model):
    """A row that many transactions change, so that they collide."""

    id = sa.Column(sa.Integer, primary_key=True, autoincrement=False)
    balance = sa.Column(sa.Integer, nullable=False)


def body(signal: Signal) -> bytes:
    """Return the message of a signal: its number, and when it is sent.

    :raises ValueError: if it is poison, or cannot be sent yet.
    """
    if is_poison(signal.number):
        raise ValueError(f"{signal.number} cannot be sent.")
    if time.time() < float(signal.number.partition(UNRIPE)[2] or 0):
        raise ValueError(f"{signal.number} cannot be sent yet.")
    points.reach("while sending")
    return f"{signal.number} {time.time()}".encode()


sender = LedgerSender(
    LedgerFile(os.environ["CHAOS_LEDGER"]),
    body,
    float(os.environ.get("CHAOS_SENDER_DELAY", "0")),
)


class Carried(db.Model):
    """A signal that a broker carries."""

    __abstract__ = True
    id = sa.Column(sa.Integer, primary_key=True)
    number = sa.Column(sa.String(60), nullable=False)
    signalbus_broker = os.environ["CHAOS_BROKER"]
    signalbus_burst_count = BURST
    signalbus_exchange = ""
    signalbus_routing_key = os.environ.get("CHAOS_QUEUE", "chaos")
    signalbus_body = staticmethod(body)
    signalbus_retry = POLICY


class Posted(Carried):
    """A signal of a broker, in no particular order."""


class Ordered(Carried):
    """A signal of a broker that has a key."""

    key = sa.Column(sa.String(40), nullable=False)
    signalbus_ordering_key = ("key",)
    signalbus_on_parked = "skip"


class Filed(db.Model):
    """A signal that is sent by a method of its own."""

    id = sa.Column(sa.Integer, primary_key=True)
    number = sa.Column(sa.String(60), nullable=False)
    signalbus_burst_count = BURST
    signalbus_retry = POLICY

    @classmethod
    def send_signalbus_message(cls, signal: Signal) -> None:
        """Write one to the ledger, unless it is poison."""
        sender.send(cls.__name__, signal)

    @classmethod
    def send_signalbus_messages(cls, signals: t.Sequence[Signal]) -> None:
        """Write a burst to the ledger, all but the poison."""
        sender.send_burst(cls.__name__, signals)


MODELS: t.Final = (Posted, Ordered, Filed)

bus.plugin_manager.register(LedgerBroker(sender))
points.install(app, db, bus)
full_disk.install(app, db)
without.remove(os.environ.get("CHAOS_WITHOUT", "").split(), bus)

if "CHAOS_READY" in os.environ:
    Path(os.environ["CHAOS_READY"]).touch()
