"""The stage of a scenario: its database, its queue, its programs and its ledger."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import time
import typing as t

from chaos import cast
from chaos.books import TABLES
from chaos.books import Bookkeeper
from chaos.books import is_poison
from chaos.ledger import FileReader
from chaos.ledger import Ledger
from chaos.ledger import QueueReader
from chaos.verdict import RESUME_LIMIT

if t.TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from chaos.ledger import Arrival
    from chaos.ledger import Reader
    from chaos.scenario import Scenario
    from chaos.servers import DatabaseServer
    from chaos.servers import RabbitMQ
    from chaos.venue import Venue

_numbers = itertools.count(1)

#: Between two looks at what goes on, in seconds.
TICK = 0.05

#: How long the programs may take to begin, and to send what is left, in seconds.
START_LIMIT = 60.0
DRAIN_LIMIT = 60.0

#: How long flow is waited for. More than it may take, to say how long it took.
FLOW_LIMIT = 12 * RESUME_LIMIT


class Stage:
    """All that a scenario has. A fault may touch it.

    :ivar random: what a fault chooses by, so that a seed reproduces it.
    :ivar cut: how many bursts faults may have cut, besides those of dead programs.
    """

    def __init__(self, scenario: Scenario, seed: int, venue: Venue) -> None:
        name = f"chaos_{next(_numbers)}"
        self.random = random.Random(f"{seed} {scenario.name}")  # noqa: S311 no secret
        self.cut = 0
        self.home: Path = venue.home / f"{name}_{scenario.name}"
        self.home.mkdir()
        self._scenario = scenario
        self._name = name
        self._venue = venue
        self._ledger = Ledger()
        self._readers: list[Reader] = []
        self._env = self._environment()
        self.cast = self._make_cast(seed)

    @property
    def database(self) -> DatabaseServer:
        """The database server."""
        return self._venue.database(self._scenario.database)

    @property
    def rabbitmq(self) -> RabbitMQ:
        """The RabbitMQ node."""
        return self._venue.rabbitmq()

    @property
    def queue(self) -> QueueReader:
        """Who takes messages from the broker."""
        return next(each for each in self._readers if isinstance(each, QueueReader))

    @property
    def database_name(self) -> str:
        """The name of the database, on its server."""
        return self._name

    @property
    def vhost(self) -> str:
        """The name of the virtual host, on the broker."""
        return self._name

    @property
    def allowed(self) -> int:
        """How many signals may come again: a burst for each that may have been cut."""
        return (self.cut + self.cast.cut) * self._scenario.burst

    def cut_everything(self) -> None:
        """Count a burst of each thread of each program as cut: it may come again."""
        self.cut += sum(cast.BURSTS[member.role] for member in self.cast.members)

    def pause(self, seconds: float) -> None:
        """Let time pass; start again what has died meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.cast.revive()
            time.sleep(min(TICK, left))

    def armed(self) -> Generator[None]:
        """Let programs kill themselves at their points; wait until all are back."""
        mark = self.home / "armed"
        mark.touch()
        yield
        mark.unlink()
        self.wait_for_programs()

    def wait_for_programs(self) -> None:
        """Wait until all programs are up and running.

        :raises ProgramError: if one does not start.
        """
        until = time.monotonic() + START_LIMIT
        self.pause(TICK)
        while not self.cast.is_ready:
            self.pause(TICK)
            if time.monotonic() > until:
                raise cast.ProgramError("A program does not start.")

    def start(self) -> None:
        """Create the tables, start the programs, and wait until signals flow."""
        with (self.home / "tables.log").open("ab") as log:
            subprocess.run(
                [sys.executable, "-m", "chaos.tables"],
                cwd=cast.ROOT,
                env=self._env,
                check=True,
                stdout=log,
                stderr=log,
            )
        self._read_ledgers()
        self.cast.start()
        self.wait_for_flow(START_LIMIT)

    def wait_for_flow(self, limit: float = FLOW_LIMIT) -> float:
        """Wait until a signal of each model is sent; return the seconds that took.

        It is not more than *limit*, whether or not they have arrived. If a program dies
        meanwhile, that is another fault, and the time begins anew.
        """
        begin, count = time.time(), len(self._ledger.arrivals())
        since = begin
        missing = set(TABLES)
        while missing and time.time() - begin < limit:
            if self.cast.revive():
                since = time.time()
            self._ledger.wait(count, TICK)
            arrivals = self._ledger.arrivals()
            new = arrivals[count:]
            missing -= {each.model for each in new if each.sent >= begin}
            count = len(arrivals)
        return time.time() - since

    def wait_for_backlog(self) -> float:
        """Wait until all that can be sent now was sent; return the seconds that took.

        It is not more than the limit, whether or not it was sent.
        """
        begin = time.time()
        pending = self.bookkeeper.pending()
        backlog = {number for number in pending if not is_poison(number)}
        while time.time() - begin < FLOW_LIMIT:
            backlog -= {arrival.number for arrival in self._ledger.arrivals()}
            if not backlog:
                break
            self.pause(TICK)
        return time.time() - begin

    def drain(self) -> None:
        """End the writers, and wait until everything was sent, or parked."""
        self.cast.end(self.cast.writers)
        until = time.monotonic() + (DRAIN_LIMIT if self.cast.senders else 0)
        while self.bookkeeper.pending() and time.monotonic() < until:
            self.pause(TICK)

    def end(self) -> None:
        """End the other programs.

        :raises ProgramError: if one does not end well.
        """
        self.cast.end(self.cast.members)

    def read_to_the_end(self) -> None:
        """End all programs, however they are, and read the ledgers to the end."""
        self.cast.destroy()
        self._venue.heal()
        for reader in self._readers:
            reader.stop()

    def arrivals(self) -> list[Arrival]:
        """Return what has arrived."""
        return self._ledger.arrivals()

    def close(self) -> None:
        """Leave nothing behind."""
        self.cast.destroy()
        if self._scenario.broker == "rabbitmq":
            self.rabbitmq.delete_vhost(self.vhost)
        if self._scenario.database != "sqlite":
            self.database.drop_database(self.database_name)

    @property
    def bookkeeper(self) -> Bookkeeper:
        """Who reads what was recorded."""
        return Bookkeeper(self._database_url(direct=True), self.home / "committed")

    def _database_url(self, *, direct: bool = False) -> str:
        if self._scenario.database == "sqlite":
            return f"sqlite:///{self.home / 'chaos.db'}"
        return self.database.url(self.database_name, direct=direct)

    def _environment(self) -> dict[str, str]:
        (self.home / "committed").touch()
        if self._scenario.database != "sqlite":
            self.database.create_database(self.database_name)
        own = {
            "FLASK_SQLALCHEMY_DATABASE_URI": self._database_url(),
            "CHAOS_ARMED": str(self.home / "armed"),
            "CHAOS_BROKER": self._scenario.broker,
            "CHAOS_BURST": str(self._scenario.burst),
            "CHAOS_COMMITTED": str(self.home / "committed"),
            "CHAOS_LEDGER": str(self.home / "ledger"),
            "CHAOS_LOG": str(self.home),
        }
        if self._scenario.broker == "rabbitmq":
            self.rabbitmq.create_vhost(self.vhost)
            own["FLASK_SIGNALBUS_RABBITMQ_URL"] = self.rabbitmq.url(self.vhost)
        settings = {
            name: value.replace("{home}", str(self.home))
            for name, value in self._scenario.settings.items()
        }
        return cast.environment(**own, **settings)

    def _make_cast(self, seed: int) -> cast.Cast:
        writing = ["2", str(self._scenario.rate), self._scenario.profile]
        members = [
            cast.Member(role, f"{role} {number} of {seed}", self._env, writing)
            for number, role in enumerate(self._scenario.cast)
        ]
        mortal, at = self._scenario.is_mortal, self._scenario.points
        return cast.Cast(members, self.random, is_mortal=mortal, dies_at=at)

    def _read_ledgers(self) -> None:
        self._readers.append(FileReader(self.home / "ledger", self._ledger))
        if self._scenario.broker == "rabbitmq":
            url = self.rabbitmq.url(self.vhost, direct=True)
            arguments = dict(self._scenario.queue)
            self._readers.append(QueueReader(url, "chaos", self._ledger, arguments))
