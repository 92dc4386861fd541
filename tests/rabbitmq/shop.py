"""A shop that sends and consumes, for tests that need processes of their own.

It reads DATABASE_URL, SIGNALBUS_RABBITMQ_URL and SIGNALBUS_RABBITMQ_QUEUE from the
environment, and is for ``flask --app`` or to be run: ``python shop.py METHOD [POINT]``
calls a method of the bus; at POINT it prints ``at POINT`` and waits for a line.
``python shop.py consume`` prints the number of each message that it processes, and
``python shop.py hang`` that of the messages that it never comes to an end with.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import typing as t

import pika
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus import hookimpl
from signalbus_rabbitmq import Consumer
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

app = Flask("shop")
app.config.from_prefixed_env("SIGNALBUS")
app.config.update({f"SIGNALBUS_{key}": value for key, value in app.config.items()})
app.config["SIGNALBUS_RABBITMQ_THREADS"] = 8
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("DATABASE_URL", "sqlite://")
db = SQLAlchemy(app)
bus = SignalBus(db)


class Paid(db.Model):  # type: ignore[name-defined,misc]
    """A signal that goes right to a queue."""

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    signalbus_broker = "rabbitmq"
    signalbus_exchange = ""
    signalbus_routing_key = os.environ["SIGNALBUS_RABBITMQ_QUEUE"]
    signalbus_autoflush = False
    signalbus_burst_count = 500


class Reader(Consumer):
    """Prints what it gets, a line each."""

    def process_message(self, body: bytes, properties: t.Any) -> bool:
        """Print *body* in one piece, whatever other threads print."""
        os.write(1, body + b"\n")
        return True


class Patient(Reader):
    """A reader whose queue is made when it is started for the third time."""

    starts = 0

    def start(self) -> None:
        """Count the starts."""
        self.starts += 1
        if self.starts == 3:
            parameters = pika.URLParameters(str(self.url))
            with pika.BlockingConnection(parameters) as connection:
                connection.channel().queue_declare(self.queue, durable=True)
        super().start()


class Fails(Consumer):
    """Fails, whatever it gets."""

    def process_message(self, body: bytes, properties: t.Any) -> bool:
        """Raise."""
        raise LookupError(body.decode())


class Unfinished(Consumer):
    """Does not say how to process a message."""


class Hangs(Consumer):
    """Prints what it gets, and never comes to an end; prints that it is stopping."""

    def process_message(self, body: bytes, properties: t.Any) -> bool:
        """Hang."""
        os.write(1, body + b"\n")
        return threading.Event().wait()

    def stop(self, signum: int | None = None, frame: t.Any = None) -> None:
        """Tell that it was called."""
        super().stop(signum, frame)
        os.write(1, b"stopping\n")


class Stops:
    """Stops the process when a burst was confirmed, and before it is deleted."""

    @hookimpl(wrapper=True)
    def signalbus_send_burst(self) -> t.Generator[None, t.Any, t.Any]:
        """Wait after everybody else."""
        result = yield
        os.write(1, b"at sent\n")
        input()
        return result


if __name__ == "__main__":
    method, *points = sys.argv[1:]
    if points:
        bus.plugin_manager.register(Stops())
    if method == "hang":
        Hangs(app).start()
    elif method == "consume":
        reader = Reader(app)
        signal.signal(signal.SIGTERM, reader.stop)
        reader.start()
    else:
        with app.app_context():
            os.write(1, b"%d\n" % getattr(bus, method)())
