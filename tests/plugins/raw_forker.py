"""A process that forks as C does, without the hooks of Python: uWSGI is one.

Usage: ``python raw_forker.py URL AUTOFLUSH``, where AUTOFLUSH is "off" or "background".
It commits a signal, then its child does, then, after a line on its standard input, it
kills the child and commits another one. A sender prints the text of what it sends.

It is a process of its own because none of its threads may wait for the interpreter when
it forks: in the child that thread would be waited for, but not be there.
"""

from __future__ import annotations

import ctypes
import linecache
import os
import signal
import sys
import threading
import time
import typing as t

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus

if t.TYPE_CHECKING:
    from signalbus.typing import Signal

#: A file, and a line of it.
Place: t.TypeAlias = "tuple[str, int]"

#: How long each may wait for the other, in seconds.
PATIENCE = 60.0

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = sys.argv[1]
db = SQLAlchemy(app)
bus = SignalBus(db)
bus.autoflush = "background" if sys.argv[2] == "background" else False


class Greeting(db.Model):  # type: ignore[misc, name-defined]
    """A signal."""

    id = sa.Column(sa.Integer, primary_key=True)
    text = sa.Column(sa.String(50))

    @classmethod
    def send_signalbus_message(cls, signal: Signal) -> None:
        """Print the text of *signal*."""
        print(signal.text, flush=True)  # noqa: T201 the test reads it


def commit(text: str) -> None:
    """Commit a signal, and wait until it has been sent, if it is autoflushed."""
    with app.app_context():
        db.session.add(Greeting(text=text))
        db.session.commit()
    assert bus.drain_autoflush(PATIENCE)


def fork() -> int:
    """Fork, as soon as all other threads wait for something to do."""
    while not others_wait():
        pass
    return ctypes.PyDLL(None).fork()  # type: ignore[no-any-return]


def others_wait() -> bool:
    """Tell whether other threads wait at a queue, and do not go on when they can."""
    before = where_others_are()
    time.sleep(0.1)
    return before == where_others_are() and all(map(is_at_a_queue, before))


def where_others_are() -> list[Place]:
    """Return the place in the code where each thread is but this one."""
    frames = sys._current_frames()  # noqa: SLF001 the documented way to know
    del frames[threading.get_ident()]
    return [(each.f_code.co_filename, each.f_lineno) for each in frames.values()]


def is_at_a_queue(place: Place) -> bool:
    """Tell whether a thread at *place* takes something out of a queue."""
    return ".get()" in linecache.getline(*place)


def main() -> None:
    """Commit, fork, and commit."""
    with app.app_context():
        db.create_all()
    commit("parent")
    child = fork()
    if child == 0:
        with app.app_context():
            db.engine.dispose(close=False)
        commit("child")
        time.sleep(PATIENCE)  # until it is killed
        os._exit(1)
    sys.stdin.readline()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    commit("parent again")


if __name__ == "__main__":
    main()
