"""A process that commits signals, autoflushes them in the background, and ends.

Usage: ``python committer.py URL FILE SCENARIO``. Its broker is FILE: a signal is
confirmed when its text is there, a line each. The table exists. What the scenarios do
is in their docstrings.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import time
import typing as t
from pathlib import Path

if __name__ == "__main__" and sys.argv[3] == "gevent":
    from gevent import monkey

    monkey.patch_all()

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import SignalBus
from signalbus import hookimpl

if t.TYPE_CHECKING:
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

#: How many signals each process commits.
COUNT = 20


class Gate:
    """Stops the thread that sends, outside any transaction, while closed."""

    def __init__(self) -> None:
        """Begin with an open gate."""
        self.reached = threading.Event()
        self.opened = threading.Event()
        self.opened.set()

    @hookimpl
    def signalbus_held_back(self) -> None:
        """Wait until the gate is open."""
        self.reached.set()
        self.opened.wait()


class Shop:
    """An app, and the signals that it commits."""

    def __init__(self, url: str, path: str) -> None:
        """Make the app, and declare its signal model."""
        self.url, self.path = url, path
        self.app = Flask(__name__)
        self.app.config["SQLALCHEMY_DATABASE_URI"] = url
        self.app.config["SIGNALBUS_AUTOFLUSH"] = "background"
        self.db = SQLAlchemy(self.app)
        self.gate = Gate()
        SignalBus(self.db).plugin_manager.register(self.gate)
        self.model = declare(self.db, path)

    def commit(self, who: str) -> None:
        """Commit some signals, each in a transaction of its own."""
        with self.app.app_context():
            for number in range(COUNT):
                self.db.session.add(self.model(text=f"{who} {number}"))
                self.db.session.commit()

    def leave_to_the_parent(self) -> None:
        """Do what the manual tells a child to do, with the gate open again."""
        self.gate.opened.set()
        with self.app.app_context():
            for engine in self.db.engines.values():
                engine.dispose(close=False)


def declare(db: SQLAlchemy, path: str) -> SignalModel:
    """Declare the signal model, whose messages end in the file *path*."""

    class Greeting(db.Model):  # type: ignore[misc, name-defined]
        id = sa.Column(sa.Integer, primary_key=True)
        text = sa.Column(sa.String(50))
        signalbus_burst_count = 5

        @classmethod
        def send_signalbus_message(cls, signal: Signal) -> None:
            if signal.text.startswith("hang"):
                time.sleep(600)
            with Path(path).open("a", encoding="ascii") as file:
                file.write(f"{signal.text}\n")

    return Greeting


def end(shop: Shop) -> None:
    """End as soon as everything is committed."""
    shop.commit("main")


def leave(shop: Shop) -> None:
    """Leave by ``sys.exit``."""
    shop.commit("main")
    sys.exit(3)


def hang(shop: Shop) -> None:
    """End while a sender hangs."""
    shop.commit("hang")


def fork(shop: Shop) -> None:
    """Fork while signals wait, as a server does that loads the app first."""
    shop.gate.opened.clear()
    shop.commit("parent")
    shop.gate.reached.wait()
    child = os.fork()
    if child == 0:
        shop.leave_to_the_parent()
        shop.commit("child")
        return
    os.waitpid(child, 0)
    shop.gate.opened.set()
    shop.commit("parent again")


def work_in_a_fork(shop: Shop) -> None:
    """Commit in a child of multiprocessing, and end it."""
    shop.leave_to_the_parent()
    shop.commit("child")


def forked_process(shop: Shop) -> None:
    """Let multiprocessing fork while signals wait."""
    shop.gate.opened.clear()
    shop.commit("parent")
    shop.gate.reached.wait()
    run(multiprocessing.get_context("fork").Process(target=work_in_a_fork, args=[shop]))
    shop.gate.opened.set()


def work_in_a_new_process(url: str, path: str) -> None:
    """Commit in a child of multiprocessing that has nothing of its parent."""
    Shop(url, path).commit("child")


def spawned_process(shop: Shop, method: str = "spawn") -> None:
    """Let multiprocessing start an interpreter."""
    shop.commit("parent")
    context = t.cast("t.Any", multiprocessing.get_context(method))
    run(context.Process(target=work_in_a_new_process, args=[shop.url, shop.path]))


def process_of_a_fork_server(shop: Shop) -> None:
    """Let multiprocessing fork an interpreter that has done nothing yet."""
    spawned_process(shop, "forkserver")


def gevent(shop: Shop) -> None:
    """Commit in greenlets."""
    greenlets = [
        threading.Thread(target=shop.commit, args=[f"greenlet {number}"])
        for number in range(4)
    ]
    for greenlet in greenlets:
        greenlet.start()
    for greenlet in greenlets:
        greenlet.join()


def run(process: t.Any) -> None:
    """Run *process* to its end."""
    process.start()
    process.join()
    assert process.exitcode == 0


SCENARIOS: dict[str, t.Callable[[Shop], None]] = {
    "end": end,
    "exit": leave,
    "hang": hang,
    "fork": fork,
    "multiprocessing fork": forked_process,
    "multiprocessing spawn": spawned_process,
    "multiprocessing forkserver": process_of_a_fork_server,
    "gevent": gevent,
}

if __name__ == "__main__":
    SCENARIOS[sys.argv[3]](Shop(*sys.argv[1:3]))
