"""A process that flushes, to be watched, killed or run beside others.

Usage: ``python flusher.py URL FILE FORM BURST_COUNT METHOD [POINT]``. It prints
``ready``, waits for a line and calls the method. Its broker is FILE: a signal is
confirmed when its text is there, a line each. At POINT of the first burst it prints
``at POINT`` and waits for a line that never comes. Environment variables that begin
with ``FLUSHER_`` are settings of its app.
"""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel


class Stops:
    """Stops the process at one point of a burst."""

    def __init__(self, point: str) -> None:
        """Stop at *point*."""
        self.point = point

    def reach(self, point: str) -> None:
        """Stop for good, if this is the point."""
        if point == self.point:
            print("at", point, flush=True)  # noqa: T201 the parent reads it
            sys.stdin.readline()

    @hookimpl(wrapper=True)
    def signalbus_send_burst(self) -> t.Generator[None, object, object]:
        """Stop before and after the sending."""
        self.reach("after lock")
        result = yield
        self.reach("after sending")
        return result

    def listen(self, engine: sa.Engine) -> None:
        """Stop after the DELETE, and before the COMMIT that follows it."""
        deleted = []

        @sa.event.listens_for(engine, "after_cursor_execute")
        def watch(connection: object, cursor: object, text: str, *rest: object) -> None:
            if text.lstrip().upper().startswith("DELETE"):
                deleted.append(text)
                self.reach("after delete")

        @sa.event.listens_for(engine, "commit")
        def watch_commit(connection: object) -> None:
            if deleted:
                self.reach("before commit")


def declare(
    db: SQLAlchemy, path: str, form: str, burst_count: int, stops: Stops
) -> SignalModel:
    """Declare the signal model, whose messages end in the file *path*."""

    def deliver(signal: Signal) -> None:
        with Path(path).open("a", encoding="ascii") as file:
            file.write(f"{signal.text}\n")
        stops.reach("while sending")

    class Base(db.Model):
        __abstract__ = True
        id = sa.Column(sa.Integer, primary_key=True)
        text = sa.Column(sa.String(50))
        signalbus_burst_count = burst_count

    if form == "instance":

        class Greeting(Base):
            def send_signalbus_message(self) -> None:
                deliver(self)

    else:

        class Greeting(Base):
            @classmethod
            def send_signalbus_message(cls, signal: Signal) -> None:
                deliver(signal)

            @classmethod
            def send_signalbus_messages(cls, signals: t.Iterable[Signal]) -> None:
                for signal in signals:
                    deliver(signal)

    return Greeting


def main(
    url: str, path: str, form: str, burst_count: str, method: str, point: str = ""
) -> None:
    """Flush once, when told to."""
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config.from_prefixed_env("FLUSHER")
    db = SQLAlchemy(app)
    bus = SignalBus(db)
    stops = Stops(point)
    bus.plugin_manager.register(stops)
    # A model lives as long as somebody holds it, such as the module that declares it.
    held = declare(db, path, form, int(burst_count), stops)
    with app.app_context():
        stops.listen(db.engine)
        print("ready", flush=True)  # noqa: T201 the parent reads it
        sys.stdin.readline()
        print("sent", getattr(bus, method)(), flush=True)  # noqa: T201 likewise
    del held


if __name__ == "__main__":
    main(*sys.argv[1:])
