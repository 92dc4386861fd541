"""A program that records signals in many kinds of transactions, until SIGTERM.

``python -m chaos.writer SEED THREADS RATE PROFILE``: each thread makes RATE
transactions a second, of the kinds in the PROFILE. Each commit that was confirmed is a
line of the file ``CHAOS_COMMITTED``.
"""

from __future__ import annotations

import itertools
import os
import random
import sys
import threading
import time
import typing as t

import sqlalchemy as sa
from signalbus import stopping

from chaos.app import ACCOUNTS
from chaos.app import UNRIPE
from chaos.app import Account
from chaos.app import Entry
from chaos.app import Filed
from chaos.app import Ordered
from chaos.app import Posted
from chaos.app import app
from chaos.app import db
from chaos.books import POISON

#: How often each kind of transaction is made, by the name of the profile.
PROFILES: t.Final[dict[str, dict[str, int]]] = {
    "usual": {
        "commit": 8,
        "release": 2,
        "roll_back": 2,
        "roll_back_savepoint": 2,
        "take_back": 1,
        "insert": 1,
    },
    "session": {
        "commit": 8,
        "release": 4,
        "roll_back": 2,
        "roll_back_savepoint": 4,
        "roll_back_deletion": 4,
    },
    "keyed": {"commit_keyed": 1, "commit": 1},
    "poisoned": {"commit": 32, "poison": 1},
    "unripe": {"commit": 1, "unripe": 3},
    "contended": {"commit": 2, "transfer": 4},
}

#: How many ordering keys a thread has.
KEYS = 3

#: How long a signal fails at first, in seconds.
RIPENING = 0.5

#: How often a transaction tries that loses a fight.
TRIES = 8


class Thread(threading.Thread):
    """Makes transactions, one after the other.

    Its ordering keys are its own: the order of its commits is the order of the keys.
    """

    def __init__(
        self, name: str, rate: float, profile: str, token: stopping.StopToken
    ) -> None:
        super().__init__(name=name)
        self._random = random.Random(name)  # noqa: S311 no secret
        self._pause = 1 / rate
        self._kinds = PROFILES[profile]
        self._token = token
        self._count = itertools.count()
        self._choose_keys()

    def run(self) -> None:
        """Make transactions until told to stop."""
        with app.app_context():
            kinds, weights = list(self._kinds), list(self._kinds.values())
            while not self._token.wait(self._random.uniform(0, 2 * self._pause)):
                (kind,) = self._random.choices(kinds, weights)
                self._make(getattr(self, kind))

    def _make(self, kind: t.Callable[[], list[str]]) -> None:
        """Make a transaction; where its end is not known, begin new keys.

        A commit that was interrupted may yet succeed, behind those that follow it.
        """
        try:
            numbers = kind()
        except sa.exc.SQLAlchemyError as error:
            app.logger.warning("A transaction has failed: %s", error)
            self._choose_keys()
        else:
            confirm(numbers)
        finally:
            try:
                db.session.remove()
            except sa.exc.SQLAlchemyError:
                app.logger.warning("A session has failed to close.")

    def commit(self) -> list[str]:
        """Commit one to four signals."""
        numbers = self._add_some(4)
        db.session.commit()
        return numbers

    def commit_keyed(self) -> list[str]:
        """Commit several signals of one key, one behind the other."""
        key = self._random.choice(list(self._keys))
        numbers = [self._add_keyed(key) for _ in range(self._random.randint(2, 5))]
        db.session.commit()
        return numbers

    def release(self) -> list[str]:
        """Commit what was added in savepoints, one within another."""
        with db.session.begin_nested():
            numbers = self._add_some()
            with db.session.begin_nested():
                numbers += self._add_some()
        db.session.commit()
        return numbers

    def roll_back(self) -> list[str]:
        """Roll everything back."""
        self._add_some()
        if self._random.random() < 0.5:  # noqa: PLR2004 half of them reach the database
            db.session.flush()
        db.session.rollback()
        return []

    def roll_back_savepoint(self) -> list[str]:
        """Commit what was added before and behind a savepoint that is rolled back."""
        numbers = self._add_some()
        savepoint = db.session.begin_nested()
        self._add_some()
        db.session.flush()
        savepoint.rollback()
        numbers += self._add_some()
        db.session.commit()
        return numbers

    def roll_back_deletion(self) -> list[str]:
        """Commit a signal whose deletion was rolled back with a savepoint."""
        number = self._number()
        signal = Posted(number=number)
        db.session.add_all([signal, Entry(number=number, model="Posted")])
        savepoint = db.session.begin_nested()
        db.session.delete(signal)
        db.session.flush()
        savepoint.rollback()
        db.session.commit()
        return [number]

    def take_back(self) -> list[str]:
        """Commit what is left when one signal was expunged, and another deleted."""
        expunged, deleted = (Posted(number=self._number()) for _ in range(2))
        db.session.add_all([expunged, deleted])
        db.session.expunge(expunged)
        db.session.flush()
        db.session.delete(deleted)
        numbers = self._add_some()
        db.session.commit()
        return numbers

    def insert(self) -> list[str]:
        """Commit a signal that the session does not know: it waits for a flush."""
        number = self._number()
        db.session.add(Entry(number=number, model="Posted"))
        db.session.execute(sa.insert(Posted).values(number=number))
        db.session.commit()
        return [number]

    def poison(self) -> list[str]:
        """Commit a signal that can never be sent, among others."""
        numbers = self._add_some()
        self._add(POISON)
        numbers += self._add_some()
        db.session.commit()
        return numbers

    def unripe(self) -> list[str]:
        """Commit signals that fail at first, among others."""
        suffix = f".{UNRIPE}{time.time() + RIPENING:.2f}"
        numbers = [*self._add_some(), *(self._add(suffix) for _ in range(4))]
        db.session.commit()
        return numbers

    def transfer(self) -> list[str]:
        """Commit signals with a change of rows that others change in another order."""
        for _ in range(TRIES - 1):
            try:
                return self._transfer()
            except sa.exc.DBAPIError as error:
                app.logger.warning("A transfer has collided: %s", error.orig)
                db.session.rollback()
                self._choose_keys()
        return self._transfer()

    def _transfer(self) -> list[str]:
        numbers = self._add_some()
        for account in self._random.sample(range(ACCOUNTS), 2):
            more = {"balance": Account.balance + 1}
            update = sa.update(Account).where(Account.id == account)
            db.session.execute(update.values(more))
        db.session.commit()
        return numbers

    def _add_some(self, most: int = 2) -> list[str]:
        return [self._add() for _ in range(self._random.randint(1, most))]

    def _add(self, suffix: str = "") -> str:
        """Add a signal and its entry to the session; return its number."""
        model = self._random.choice((Posted, Ordered, Filed))
        if model is Ordered:
            return self._add_keyed(self._random.choice(list(self._keys)), suffix)
        number = self._number(suffix)
        db.session.add_all(
            [model(number=number), Entry(number=number, model=model.__name__)]
        )
        return number

    def _add_keyed(self, key: str, suffix: str = "") -> str:
        """Add a signal with a key, and its entry."""
        number, position = self._number(suffix), next(self._keys[key])
        entry = Entry(number=number, model="Ordered", key=key, position=position)
        db.session.add_all([Ordered(number=number, key=key), entry])
        return number

    def _number(self, suffix: str = "") -> str:
        return f"{self.name}.{next(self._count)}{suffix}"

    def _choose_keys(self) -> None:
        first = next(self._count)
        names = (f"{self.name}.{first}k{number}" for number in range(KEYS))
        self._keys = {name: itertools.count() for name in names}


def confirm(numbers: t.Iterable[str]) -> None:
    """Write down that the database has confirmed the commit of these signals."""
    os.write(_committed, "".join(f"{number}\n" for number in numbers).encode())


def main(seed: str, threads: str, rate: str, profile: str) -> None:
    """Run the threads until told to stop."""
    token = stopping.StopToken()
    with token.on_signals():
        running = [
            Thread(f"{seed}.{number}", float(rate), profile, token)
            for number in range(int(threads))
        ]
        for thread in running:
            thread.start()
        token.wait()
        for thread in running:
            thread.join()


_committed = os.open(
    os.environ["CHAOS_COMMITTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT
)

if __name__ == "__main__":
    main(*sys.argv[1:])
