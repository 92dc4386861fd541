"""A process that flushes beside others, until all that is pending is parked.

Usage: ``python busy_flusher.py URL FILE``. It prints ``ready``, and waits for a line.
Every hundredth signal fails, always. FILE gets a line of JSON for each try: the number
of the signal, the attempts that are on record, and for how long it has been due.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
import typing as t
from pathlib import Path

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import PartialDeliveryError
from signalbus import SignalBus

if t.TYPE_CHECKING:
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

#: The attempts of an entry, and the seconds since its signal is due.
RECORD = {
    "postgresql": (
        "SELECT key, attempts, EXTRACT(EPOCH FROM clock_timestamp() - next_attempt_at)"
        " FROM signalbus_failure"
    ),
    "mysql": (
        "SELECT `key`, attempts,"
        " TIMESTAMPDIFF(MICROSECOND, next_attempt_at, UTC_TIMESTAMP(6)) / 1e6"
        " FROM signalbus_failure"
    ),
}

LEFT = (
    "SELECT (SELECT count(*) FROM parcel) > (SELECT count(*) FROM signalbus_failure"
    " WHERE next_attempt_at IS NULL)"
)


class Witness:
    """Keeps what came to the sender, and what was on record about it at that time."""

    def __init__(self, url: str) -> None:
        """Look at the record over a connection of our own."""
        engine = sa.create_engine(
            url, isolation_level="AUTOCOMMIT", poolclass=sa.StaticPool
        )
        self.connection = engine.connect()
        self.record = RECORD[engine.name]
        self.tries: list[tuple[int, int | None, float | None]] = []

    def see(self, numbers: t.Sequence[int]) -> list[int]:
        """Keep that signals came, and return the positions of those that fail."""
        failing = [place for place, number in enumerate(numbers) if not number % 100]
        known: dict[int, tuple[int, float | None]] = {}
        if failing:
            for key, attempts, seconds in self.connection.exec_driver_sql(self.record):
                number = json.loads(key)[0]
                known[number] = (attempts, None if seconds is None else float(seconds))
        self.tries += [(number, *known.get(number, (None, None))) for number in numbers]
        return failing

    def is_anything_left(self) -> bool:
        """Return whether there is a signal that is not parked."""
        return bool(self.connection.exec_driver_sql(LEFT).scalar())


def declare(db: SQLAlchemy, witness: Witness) -> SignalModel:
    """Declare the signal model."""

    class Parcel(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        text = sa.Column(sa.String(50))
        signalbus_burst_count = 1000
        signalbus_retry: t.ClassVar = {"max_attempts": 4, "first_delay": 0.2}

        @classmethod
        def send_signalbus_message(cls, signal: Signal) -> None:
            raise NotImplementedError

        @classmethod
        def send_signalbus_messages(cls, signals: t.Sequence[Signal]) -> None:
            failing = witness.see([signal.id for signal in signals])
            if failing:
                error = ValueError("This one cannot be sent.")
                raise PartialDeliveryError(dict.fromkeys(failing, error))

    return Parcel


def main(url: str, path: str) -> None:
    """Flush again and again."""
    logging.disable()
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db = SQLAlchemy(app)
    bus = SignalBus(db)
    witness = Witness(url)
    # A model lives as long as somebody holds it, such as the module that declares it.
    held = declare(db, witness)
    with app.app_context():
        print("ready", flush=True)  # noqa: T201 the parent reads it
        sys.stdin.readline()
        while witness.is_anything_left():
            with contextlib.suppress(ValueError):
                bus.flushmany()
            time.sleep(0.02)
    del held
    with Path(path).open("w", encoding="ascii") as file:
        file.writelines(f"{json.dumps(each)}\n" for each in witness.tries)


if __name__ == "__main__":
    main(*sys.argv[1:])
