"""With the API alone, everything goes on as it did."""

from __future__ import annotations

import subprocess
import sys
import typing as t

if t.TYPE_CHECKING:
    from conftest import Wire
    from flask import Flask
    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

TRACEPARENT = f"00-{0x11:032x}-{0x22:016x}-01"

ROUND_TRIP = """
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus_otel import Timed, Traced

app = Flask("shop")
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
db = SQLAlchemy(app)
bus = SignalBus(db)

class Paid(Traced, Timed, db.Model):
    id = db.Column(db.Integer, primary_key=True)
    def send_signalbus_message(self):
        print(self.id, self.traceparent)

with app.app_context():
    db.create_all()
    db.session.add(Paid())
    db.session.commit()
    assert not db.session.query(Paid).count()

import sys
assert "opentelemetry.sdk" not in sys.modules
"""


def test_signals_are_recorded_and_sent() -> None:
    """Without an SDK, and without importing one."""
    command = [sys.executable, "-W", "error", "-c", ROUND_TRIP]

    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 ours

    assert ("1 None\n", "", 0) == (done.stdout, done.stderr, done.returncode)


def test_context_that_others_have_recorded_goes_on(
    app: Flask, db: SQLAlchemy, bus: SignalBus, model: SignalModel, wire: Wire
) -> None:
    """A relay may have no SDK where web processes have one."""
    with app.app_context():
        db.session.add_all([model(text=x, traceparent=TRACEPARENT) for x in "ab"])
        db.session.add(model(text="c"))
        db.session.commit()
    bus.flushmany()

    assert {"a": {"traceparent": TRACEPARENT}, "b": {"traceparent": TRACEPARENT}} == {
        text: headers for text, headers in wire.headers.items() if headers
    }


def test_without_the_column_no_headers_are_made(
    bus: SignalBus,
    new_model: t.Callable[..., SignalModel],
    record: t.Callable[..., None],
    wire: Wire,
) -> None:
    """Nothing is known, and nothing is said."""
    record(new_model(), "a")
    bus.flushmany()

    assert {"a": {}} == wire.headers
