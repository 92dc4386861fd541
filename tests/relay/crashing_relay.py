"""A process that does what a relay does, and ends while it sends some signals.

Usage: ``python crashing_relay.py URL FILE``. It sends what is pending, in a thread for
each model, until all that is left is parked. Its broker is FILE: each signal that comes
is a line there. A signal with the text "fatal" ends the process; one with the text
"stuck" is waited for until somebody kills the process, the first time that it is sent.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import typing as t
import uuid
from pathlib import Path

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus.stopping import StopToken
from signalbus_relay._counts import Counts
from signalbus_relay._crash import Caution
from signalbus_relay._status import Status

if t.TYPE_CHECKING:
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel


def declare(db: SQLAlchemy, mailbox: Path, name: str) -> SignalModel:
    """Declare a signal model whose messages end in *mailbox*."""

    def send_signalbus_message(cls: SignalModel, signal: Signal) -> None:
        with mailbox.open("a", encoding="ascii") as file:
            file.write(f"{signal.text}\n")
        if signal.text == "fatal":
            os._exit(1)
        if signal.text == "stuck" and mailbox.read_text().count("stuck\n") == 1:
            time.sleep(60)

    return type(
        name,
        (db.Model,),
        {
            "id": sa.Column(sa.Integer, primary_key=True),
            "text": sa.Column(sa.String(50)),
            "signalbus_burst_count": 20,
            "signalbus_autoflush": False,
            "signalbus_retry": {"max_attempts": 3, "first_delay": 0.05, "jitter": 0},
            "send_signalbus_message": classmethod(send_signalbus_message),
        },
    )


def make(url: str, mailbox: Path) -> tuple[Flask, SQLAlchemy, SignalBus, list[t.Any]]:
    """Make an app that has two models: one for fatal signals, and one without."""
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db = SQLAlchemy(app)
    bus = SignalBus(db)
    return app, db, bus, [declare(db, mailbox, name) for name in ("Risky", "Healthy")]


def parked(bus: SignalBus, model: SignalModel) -> int:
    """Return how many signals are parked."""
    if not bus.plugin_manager.has_plugin("retry"):
        return 0
    import signalbus_retry

    return len(list(signalbus_retry.failures(bus, [model], parked=True)))


def ignore(_: Exception) -> None:
    """Report nothing: the log of the bus has it."""


def run_lane(
    app: Flask, bus: SignalBus, model: SignalModel, caution: Caution, token: StopToken
) -> None:
    """Send what is pending, until all that is left is parked.

    :param caution: that of all lanes, as in a relay: they take turns.
    """
    with app.app_context():
        caution.prepare(model, 1, ignore)
        while bus.count_pending([model])[model] > parked(bus, model):
            caution.send_suspects(model, ignore)
            bus.flushmany([model])
            token.wait(0.02)


def main(url: str, path: str) -> None:
    """Do what a relay does, and end as it should."""
    app, _, bus, models = make(url, Path(path))
    counts = Counts()
    bus.plugin_manager.register(counts)
    status = Status(app, bus, uuid.uuid4().hex)
    status.begin(models)
    token = StopToken()
    caution = Caution(bus, token, status.must_be_careful)
    lanes = [
        threading.Thread(target=run_lane, args=(app, bus, model, caution, token))
        for model in models
    ]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    status.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
