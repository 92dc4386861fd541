"""A shop for processes of their own. Whatever it sends is a line in a file.

``python acceptance_shop.py``: commit a letter for each line of the standard input, and
answer each one with "committed" or "failed".

``python acceptance_shop.py THREADS COUNT``: commit COUNT letters in each of THREADS
threads, and end.
"""

from __future__ import annotations

import os
import sys
import threading

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus

app = Flask("shop")
app.config.from_prefixed_env()
db = SQLAlchemy(app)
bus = SignalBus(db)


def send(text: str) -> None:
    """Write *text* to the mailbox. "fatal" ends the process then."""
    mailbox = os.open(os.environ["MAILBOX"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(mailbox, f"{os.getpid()} {text}\n".encode())
    os.close(mailbox)
    if text == "fatal":
        os._exit(3)


class Letter(db.Model):  # type: ignore[name-defined,misc]  # db.Model is built at run time
    """A signal."""

    id = sa.Column(sa.Integer, primary_key=True)
    text = sa.Column(sa.String(50), nullable=False)
    signalbus_burst_count = 20

    @classmethod
    def send_signalbus_message(cls, signal: sa.Row[tuple[int, str]]) -> None:
        """Send a letter."""
        send(signal.text)


class Parcel(db.Model):  # type: ignore[name-defined,misc]
    """Another signal, which has a lane of its own."""

    id = sa.Column(sa.Integer, primary_key=True)
    text = sa.Column(sa.String(50), nullable=False)
    signalbus_burst_count = 20

    @classmethod
    def send_signalbus_message(cls, signal: sa.Row[tuple[int, str]]) -> None:
        """Send a parcel."""
        send(signal.text)


def commit(text: str) -> str:
    """Commit a letter, and say whether that worked."""
    with app.app_context():
        db.session.add(Letter(text=text))
        try:
            db.session.commit()
        except sa.exc.DBAPIError:
            db.session.rollback()
            return "failed"
    return "committed"


def commit_many(name: str, count: int) -> None:
    """Commit *count* letters, one at a time."""
    for number in range(count):
        assert "committed" == commit(f"{os.getpid()}-{name}-{number}")


def main(threads: int, count: int) -> None:
    """Commit *count* letters in each of several threads."""
    writers = [
        threading.Thread(target=commit_many, args=(str(n), count))
        for n in range(threads)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(*map(int, sys.argv[1:]))
    else:
        for line in sys.stdin:
            print(commit(line.strip()), flush=True)  # noqa: T201 that is the answer
