"""Processes that record and flush signals of the same keys, and are killed.

Usage: ``python ordering_flusher.py URL LEDGER KEYS COUNT KEY``. It creates the tables,
and forks flushers and writers. Now and then it kills one of them, and forks another in
its place. It ends when COUNT signals of each of KEYS accounts were recorded, and none
is pending. KEY is the ordering key of the model: ``account_id``, or nothing to see what
happens without.

Its broker is LEDGER: a signal is confirmed when it is a line there, with the account,
the number of the signal, and the process. A writer numbers the signals of an account
while it holds the row of the account, so they commit in the order of their numbers.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import random
import signal
import sys
import threading
import time
import typing as t

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from signalbus import PartialDeliveryError
from signalbus import SignalBus

if t.TYPE_CHECKING:
    from signalbus.typing import Signal
    from signalbus.typing import SignalModel

FLUSHERS = 4

#: Processes that record, and the threads of each.
WRITERS, THREADS = 2, 4

#: The part of all sends that fails.
FAILING = 0.02

#: The time between two kills, in seconds: at random, up to this.
INTERVAL = 0.5

#: After how many seconds without any progress something must be wrong.
PATIENCE = 60.0

#: How the signals are sent, and how many in a burst; each process chooses.
FORMS = ("instance", "row", "burst")
BURST_COUNTS = (1, 5, 50)


class SendError(Exception):
    """The broker has refused the signal."""


class Ledger:
    """The broker. It keeps the order in which all processes have sent."""

    def __init__(self, path: str) -> None:
        """Write to the file *path*."""
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def carry(self, signal: Signal) -> None:
        """Confirm *signal*, in one write; or fail at random, before or after it."""
        fails = random.random() < FAILING  # noqa: S311 no secret
        if not fails or random.random() < 0.1:  # noqa: S311
            line = f"{signal.account_id} {signal.number} {os.getpid()}\n"
            os.write(self._file, line.encode())
        if fails:
            raise SendError

    def carry_all(self, signals: t.Sequence[Signal]) -> None:
        """Confirm *signals*, or some, and say which; or, at times, fail without a word.

        :raises PartialDeliveryError: if it knows.
        """
        failures: dict[int, Exception] = {}
        for position, each in enumerate(signals):
            try:
                self.carry(each)
            except SendError as error:
                failures[position] = error
                if random.random() < 0.5:  # noqa: S311
                    raise
        if failures:
            raise PartialDeliveryError(failures)


def _send_methods(ledger: Ledger, form: str) -> dict[str, t.Any]:
    def send_instance(self: Signal) -> None:
        ledger.carry(self)

    def send_row(cls: SignalModel, signal: Signal) -> None:
        ledger.carry(signal)

    def send_burst(cls: SignalModel, signals: t.Sequence[Signal]) -> None:
        ledger.carry_all(signals)

    if form == "instance":
        return {"send_signalbus_message": send_instance}
    methods = {"send_signalbus_message": classmethod(send_row)}
    if form == "burst":
        methods["send_signalbus_messages"] = classmethod(send_burst)
    return methods


class Shop:
    """An app, its accounts, and the signals about them."""

    def __init__(self, url: str, path: str, key: str) -> None:
        """Make the app, with a form and a burst count chosen at random."""
        self.app = Flask(__name__)
        self.app.config["SQLALCHEMY_DATABASE_URI"] = url
        self.app.config["SIGNALBUS_AUTOFLUSH"] = random.choice([True, "background"])  # noqa: S311
        self.db = SQLAlchemy(self.app)
        self.bus = SignalBus(self.db)
        accounts: dict[str, t.Any] = {
            "id": sa.Column(sa.Integer, primary_key=True),
            "last": sa.Column(sa.Integer, nullable=False),
        }
        self.account = type("Account", (self.db.Model,), accounts)
        self.event = type("Event", (self.db.Model,), self._event(path, key))

    def record(self, count: int) -> bool:
        """Record one to three signals of an account that has fewer than *count*.

        The account is locked meanwhile. Return whether there is such an account.
        """
        session, account = self.db.session, self.account
        some = sa.select(account.id).where(account.last < count)
        chosen = session.scalars(some).all()
        session.rollback()
        if not chosen:
            return False
        locked = (
            sa.select(account)
            .where(account.id == random.choice(chosen))  # noqa: S311
            .with_for_update()
        )
        found = session.scalars(locked).one()
        for _ in range(min(random.randint(1, 3), count - found.last)):  # noqa: S311
            found.last += 1
            session.add(self.event(account_id=found.id, number=found.last))
            session.flush()
        session.commit()
        return True

    def flush(self) -> None:
        """Flush in a way that is chosen at random, whatever fails."""
        way = random.choice(["flush", "flushmany", "flushordered"])  # noqa: S311
        arguments = {"wait": 0.1} if way == "flush" else {}
        with contextlib.suppress(SendError):
            getattr(self.bus, way)(**arguments)

    @staticmethod
    def _event(path: str, key: str) -> dict[str, t.Any]:
        """Return the class body of the signal model."""
        return {
            "id": sa.Column(sa.Integer, primary_key=True),
            "account_id": sa.Column(sa.Integer, nullable=False),
            "number": sa.Column(sa.Integer, nullable=False),
            "__table_args__": (sa.Index("event_account", "account_id", "id"),),
            "signalbus_burst_count": random.choice(BURST_COUNTS),  # noqa: S311
            **({"signalbus_ordering_key": key} if key else {}),
            **_send_methods(Ledger(path), random.choice(FORMS)),  # noqa: S311
        }


def flush_for_ever(shop: Shop) -> None:
    """Flush whatever is there, until killed."""
    with shop.app.app_context():
        while True:
            shop.flush()
            time.sleep(0.01)


def write_all(shop: Shop, count: int) -> None:
    """Record signals in several threads until every account has *count*."""

    def write() -> None:
        with shop.app.app_context():
            while shop.record(count):
                pass

    threads = [threading.Thread(target=write) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shop.bus.drain_autoflush()


class Nursery:
    """Forks processes, kills them, and forks others in their place."""

    def __init__(self) -> None:
        """Begin without any."""
        self._works: dict[int, t.Callable[[], object]] = {}
        self.killed = 0

    @property
    def pids(self) -> list[int]:
        """The processes that are not known to have ended."""
        return list(self._works)

    def fork(self, work: t.Callable[[], object]) -> None:
        """Let another process do *work*. It ends with status 0 when that is done."""
        pid = os.fork()
        if pid:
            self._works[pid] = work
            return
        status = 1
        try:
            work()
            status = 0
        except Exception:
            logging.getLogger(__name__).exception("A process has failed.")
        finally:
            os._exit(status)

    def kill(self, pid: int, *, replace: bool = True) -> None:
        """Kill a process, and fork another unless it had done its work."""
        work = self._works.pop(pid)
        os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        self.killed += os.WIFSIGNALED(status)
        if replace and os.WIFSIGNALED(status):
            self.fork(work)

    def reap(self) -> None:
        """Forget the processes that have done their work.

        :raises RuntimeError: if one of them failed.
        """
        for pid in self.pids:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                del self._works[pid]
                if status:
                    raise RuntimeError("A process has failed.")


class Progress:
    """What is left to do, as the tables say."""

    def __init__(self, url: str, path: str, count: int) -> None:
        """Look at the tables over connections that nobody inherits."""
        self._engine = sa.create_engine(url, poolclass=sa.NullPool)
        self._path = path
        self._count = count
        self._seen: object = None
        self._since = time.monotonic()

    def create(self, keys: int) -> None:
        """Create the tables, and the accounts."""
        shop = Shop(self._engine.url.render_as_string(False), self._path, "")
        shop.db.metadata.create_all(self._engine)
        rows = [{"id": number, "last": 0} for number in range(1, keys + 1)]
        with self._engine.begin() as connection:
            connection.execute(sa.insert(shop.account), rows)

    @property
    def is_done(self) -> bool:
        """Whether everything was recorded and sent.

        :raises RuntimeError: if nothing has moved for too long.
        """
        with self._engine.connect() as connection:
            recorded = connection.exec_driver_sql(
                f"SELECT count(*) FROM account WHERE last < {self._count}"  # noqa: S608 our own number
            ).scalar()
            pending = connection.exec_driver_sql("SELECT count(*) FROM event").scalar()
        self._note((recorded, pending, os.stat(self._path).st_size))  # noqa: PTH116 no pathlib needed
        return not recorded and not pending

    def _note(self, state: object) -> None:
        if state != self._seen:
            self._seen, self._since = state, time.monotonic()
        elif time.monotonic() - self._since > PATIENCE:
            raise RuntimeError(f"Nothing moves any more: {state}.")


def main(url: str, path: str, keys: int, count: int, key: str = "") -> None:
    """Record and flush, kill and replace, until everything was sent."""
    logging.disable(logging.WARNING)  # what fails is logged by each process
    progress = Progress(url, path, count)
    progress.create(keys)
    nursery = Nursery()
    works = [
        *([lambda: flush_for_ever(Shop(url, path, key))] * FLUSHERS),
        *([lambda: write_all(Shop(url, path, key), count)] * WRITERS),
    ]
    for work in works:
        nursery.fork(work)
    try:
        while not progress.is_done:
            time.sleep(random.uniform(0, INTERVAL))  # noqa: S311 what goes on meanwhile is the point
            nursery.reap()
            nursery.kill(random.choice(nursery.pids))  # noqa: S311
    finally:
        for pid in nursery.pids:
            nursery.kill(pid, replace=False)
    print("killed", nursery.killed, flush=True)  # noqa: T201 the parent reads it


if __name__ == "__main__":
    main(*sys.argv[1:3], *map(int, sys.argv[3:5]), *itertools.islice(sys.argv, 5, None))
