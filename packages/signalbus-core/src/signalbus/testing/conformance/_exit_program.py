"""A program that sends three signals and ends, for the suite to watch."""

from __future__ import annotations

import json
import sys
import typing as t

from flask_sqlalchemy import SQLAlchemy

from signalbus.extension import SignalBus
from signalbus.testing.conformance._case import make_app
from signalbus.testing.conformance._case import new_model
from signalbus.testing.conformance._case import register
from signalbus.testing.conformance._case import rows
from signalbus.testing.conformance._case import unavailable


def main(job: dict[str, t.Any]) -> None:
    """Send three signals, and print the outcome."""
    app = make_app("sqlite://", job["settings"], job["prepare"])
    db = SQLAlchemy(app)
    bus = SignalBus(db)
    register(bus, job["plugin"])
    model = new_model(db, job["broker"], job["attributes"])
    with app.app_context():
        try:
            bus.plugin_manager.hook.signalbus_send_burst(
                bus=bus, model=model, signals=rows(3), timeout=None
            )
        except Exception as error:
            if unavailable(error) is None:
                raise
            print("unavailable")
        else:
            print("sent")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
