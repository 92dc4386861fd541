"""A shop for tests that need processes of their own: ``python shop.py WHAT``.

It reads the URL and the subject from the environment.
"""

from __future__ import annotations

import os
import sys
import threading
import typing as t

if "gevent" in sys.argv:  # first of all
    from gevent import monkey

    monkey.patch_all()

from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from sqlalchemy.orm import Mapped
from sqlalchemy.orm import mapped_column

app = Flask("shop")
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
app.config["SIGNALBUS_NATS_URL"] = os.environ["NATS_URL"]
app.config["SIGNALBUS_AUTOFLUSH"] = "background" if "background" in sys.argv else True
db = SQLAlchemy(app)
bus = SignalBus(db)


class Paid(db.Model):  # type: ignore[name-defined,misc]
    """A signal that goes to NATS."""

    id: Mapped[int] = mapped_column(primary_key=True)
    signalbus_broker = "nats"
    signalbus_subject = os.environ["SUBJECT"]


def pay(*numbers: int) -> None:
    """Commit signals one by one; they are sent at once."""
    for number in numbers:
        db.session.add(Paid(id=number))
        db.session.commit()


def commit() -> None:
    """Commit two signals, and end."""
    pay(1, 2)


def fork() -> None:
    """Send before a fork, in the child, and in the parent; both end as usual."""
    pay(1)
    child = os.fork()
    if child == 0:
        if "silent" not in sys.argv:
            pay(2)
        return
    _, status = os.waitpid(child, 0)
    assert 0 == status
    pay(3)


def threads() -> None:
    """Have the plugin send in several threads: SQLite would block green ones."""
    from threading import Thread
    from types import SimpleNamespace

    send = bus.plugin_manager.hook.signalbus_send_burst

    def run(number: int) -> None:
        signals = [SimpleNamespace(id=number)]
        with app.app_context():
            send(bus=bus, model=Paid, signals=signals, timeout=None)

    started = [Thread(target=run, args=[number]) for number in range(1, 9)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()


if "threadless" in sys.argv:
    threading.stack_size(2**46)  # from now on, no thread can be started

if __name__ == "__main__":
    work: dict[str, t.Callable[[], None]] = {
        "commit": commit,
        "fork": fork,
        "threads": threads,
    }
    with app.app_context():
        db.create_all()
        work[sys.argv[1]]()
