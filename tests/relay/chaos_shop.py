"""A shop that is killed all the time. Each entry has a signal, in one transaction."""

from __future__ import annotations

import os
import sys
import threading
import uuid

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus

app = Flask("shop")
app.config.from_prefixed_env()
app.config["SIGNALBUS_AUTOFLUSH"] = "background"
db = SQLAlchemy(app)
bus = SignalBus(db)


class Entry(db.Model):  # type: ignore[name-defined,misc]  # db.Model is built at run time
    """What the business knows."""

    number = sa.Column(sa.String(32), primary_key=True)


class Posted(db.Model):  # type: ignore[name-defined,misc]
    """What others must learn."""

    id = sa.Column(sa.Integer, primary_key=True)
    number = sa.Column(sa.String(32), nullable=False)
    signalbus_broker = "rabbitmq"
    signalbus_burst_count = 100
    signalbus_exchange = ""
    signalbus_routing_key = os.environ["QUEUE"]
    signalbus_body = staticmethod(lambda signal: signal.number.encode())


def write(count: int) -> None:
    """Commit *count* entries, whatever happens to the connection meanwhile."""
    with app.app_context():
        while count:
            number = uuid.uuid4().hex
            db.session.add_all([Entry(number=number), Posted(number=number)])
            try:
                db.session.commit()
                count -= 1
            except sa.exc.DBAPIError:
                db.session.rollback()
            finally:
                db.session.remove()


def main(threads: int, count: int) -> None:
    """Commit *count* entries in each of several threads."""
    writers = [threading.Thread(target=write, args=[count]) for _ in range(threads)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
