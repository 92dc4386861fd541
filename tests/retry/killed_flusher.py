"""A process that kills itself while it does something with signals that fail.

Usage: ``python killed_flusher.py URL FILE TASK BURST_COUNT POINT TIMES``. It does TASK,
and dies when it has reached POINT so many TIMES. Its broker is FILE: each signal that
comes is a line there. Signals with a text that begins with "bad" fail. A TASK is

- ``flush``, ``flushmany`` or ``flushordered``;
- ``autoflush``: record three signals, and commit;
- ``replay`` or ``discard``: all signals that have failed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import typing as t
from pathlib import Path

import signalbus_retry
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel


class Death:
    """Kills the process at one point."""

    def __init__(self, point: str, times: int) -> None:
        """Kill it when *point* is reached for the n-th of *times*."""
        self.point = point
        self.left = times

    def reach(self, point: str) -> None:
        """Die, if this is the point."""
        if point == self.point:
            self.left -= 1
            if not self.left:
                os.kill(os.getpid(), signal.SIGKILL)

    @hookimpl(wrapper=True)
    def signalbus_burst_settled(self) -> t.Generator[None, object, object]:
        """Reach the points before and after the plugins have written."""
        self.reach("before writing")
        result = yield
        self.reach("after writing")
        return result

    @hookimpl
    def signalbus_burst_sent(self) -> None:
        """Reach the point behind the commit."""
        self.reach("after commit")

    def listen(self, engine: sa.Engine) -> None:
        """Reach the point before the commit of what was written."""
        written = []

        @sa.event.listens_for(engine, "after_cursor_execute")
        def watch(connection: object, cursor: object, text: str, *rest: object) -> None:
            if text.lstrip().startswith(("DELETE", "UPDATE", "INSERT")):
                written.append(text)

        @sa.event.listens_for(engine, "commit")
        def watch_commit(connection: object) -> None:
            if written:
                self.reach("before commit")


def declare(
    db: SQLAlchemy, mailbox: Path, burst_count: int, death: Death
) -> SignalModel:
    """Declare the signal model, whose messages end in *mailbox*."""

    class Letter(db.Model):
        id = sa.Column(sa.Integer, primary_key=True)
        text = sa.Column(sa.String(50))
        signalbus_burst_count = burst_count
        signalbus_retry: t.ClassVar = {"max_attempts": 3, "first_delay": 3600}

        @classmethod
        def send_signalbus_message(cls, signal: Signal) -> None:
            death.reach("before sending")
            with mailbox.open("a", encoding="ascii") as file:
                file.write(f"{signal.text}\n")
            death.reach("after sending")
            if signal.text.startswith("bad"):
                raise ValueError(signal.text)

    return Letter


def record(db: SQLAlchemy, model: SignalModel) -> None:
    """Record three signals."""
    for number, text in enumerate(["good a", "bad b", "good c"], 11):
        db.session.add(model(id=number, text=text))
    db.session.commit()


def main(
    url: str, path: str, task: str, burst_count: str, point: str, times: str
) -> None:
    """Do what is to be done."""
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    db = SQLAlchemy(app)
    bus = SignalBus(db)
    death = Death(point, int(times))
    bus.plugin_manager.register(death)
    model = declare(db, Path(path), int(burst_count), death)
    with app.app_context(), contextlib.suppress(ValueError):
        death.listen(db.engine)
        if task == "autoflush":
            record(db, model)
        elif task == "replay":
            signalbus_retry.replay(bus)
        elif task == "discard":
            signalbus_retry.discard(bus, before=lambda *_: death.reach("in between"))
        else:
            getattr(bus, task)()


if __name__ == "__main__":
    main(*sys.argv[1:])
