"""Whatever is killed, and whenever: nothing is lost, and little comes twice."""

from __future__ import annotations

import collections
import contextlib
import itertools
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path

import pytest
import sqlalchemy as sa

pika = pytest.importorskip("pika", reason="signalbus-rabbitmq is not installed")
pytest.importorskip("signalbus_cli", reason="signalbus-cli is not installed")

if t.TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

HERE = Path(__file__).parent

BROKER_URL = os.environ.get(
    "SIGNALBUS_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/"
)

#: How long things are killed, and the time between two kills, in seconds. For a minute
#: and 50,000 signals, set the first to 60.
SECONDS = float(os.environ.get("SIGNALBUS_TEST_CHAOS_SECONDS", "8"))
INTERVAL = 1.0

#: How many signals each of the 8 threads commits.
COUNT = int(SECONDS * 105)

#: By what the connections of the programs are known. The tests have others.
APPLICATION = "signalbus-chaos"

#: The burst count of the shop.
BURST = 100

PROGRAM = [sys.executable, str(HERE / "chaos_shop.py"), "4"]
RELAY = [sys.executable, "-m", "flask", "--app", "chaos_shop", "signalbus", "run"]


class Proxy:
    """A way to the broker that can be cut."""

    def __init__(self, url: str) -> None:
        """Listen on a free port."""
        self._target = pika.URLParameters(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        credentials = self._target.credentials
        self.url = (
            f"amqp://{credentials.username}:{credentials.password}"
            f"@127.0.0.1:{self._listener.getsockname()[1]}/"
        )
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def cut(self) -> int:
        """Cut all connections; new ones are taken. Return how many there were."""
        ends = list(self._open)
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        return len(ends) // 2

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                address = (self._target.host, self._target.port)
                server = socket.create_connection(address)
            except OSError:
                return
            for ends in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        self._open.add(source)
        with contextlib.suppress(OSError), source:
            while data := source.recv(65536):
                target.sendall(data)
        self._open.discard(source)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)


class Process:
    """A program that is started again when it was killed."""

    def __init__(self, command: t.Sequence[str], env: t.Mapping[str, str]) -> None:
        """Start it."""
        self._start = lambda: subprocess.Popen(command, cwd=HERE, env=env)  # noqa: S603 our own program
        self.process = self._start()

    def kill(self) -> int:
        """Kill it, and start it again. Return how many bursts that may have cut."""
        self.process.kill()
        self.process.wait()
        self.process = self._start()
        return 1


class Writer(Process):
    """A program that is not started again once it has done its work."""

    def kill(self) -> int:
        """Kill it, unless it is done. Return how many bursts that may have cut."""
        return super().kill() if self.process.poll() is None else 0


@pytest.fixture
def queue() -> Iterator[tuple[str, t.Callable[[], list[str]]]]:
    """Give a queue, and what takes all its messages."""
    parameters = pika.URLParameters(BROKER_URL)
    parameters.heartbeat = 0
    with pika.BlockingConnection(parameters) as connection:
        channel = connection.channel()
        name = channel.queue_declare("", exclusive=True).method.queue

        def take() -> list[str]:
            bodies = iter(lambda: channel.basic_get(name, auto_ack=True)[2], None)
            return [body.decode() for body in bodies]

        yield name, take


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """Give a way to the broker that can be cut."""
    proxy = Proxy(BROKER_URL)
    yield proxy
    proxy.close()


@pytest.fixture
def database(engine_url: str) -> Iterator[sa.Connection]:
    """Give a connection of the test's own, in which nothing stays open."""
    engine = sa.create_engine(engine_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture
def env(engine_url: str, queue: tuple[str, object], proxy: Proxy) -> dict[str, str]:
    """Give the environment of all programs, and create the tables."""
    env = {
        **os.environ,
        "FLASK_SQLALCHEMY_DATABASE_URI": engine_url,
        "PGAPPNAME": APPLICATION,
        "FLASK_SIGNALBUS_RABBITMQ_URL": proxy.url,
        "QUEUE": queue[0],
        "SIGNALBUS_DISABLED_PLUGINS": "",
    }
    create = "import chaos_shop as it\nwith it.app.app_context(): it.db.create_all()"
    subprocess.run([sys.executable, "-c", create], cwd=HERE, env=env, check=True)  # noqa: S603 our own program
    return env


def _cut_database(connection: sa.Connection) -> int:
    """End one connection of the programs to the database, which may cut a burst."""
    connection.execute(
        sa.text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = :name"
            " ORDER BY random() LIMIT 1"
        ),
        {"name": APPLICATION},
    )
    return 1


def _count(connection: sa.Connection, table: str) -> int:
    return connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() or 0  # noqa: S608 our own table


def _running(connection: sa.Connection) -> set[int]:
    """Return the processes that have the row of a relay."""
    query = "SELECT process FROM signalbus_relay"
    return set(connection.exec_driver_sql(query).scalars())


def _wait_until(is_so: t.Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.1)


@pytest.mark.timeout(180 + 3 * SECONDS)
@pytest.mark.databases("postgresql")
def test_nothing_is_lost_while_everything_is_killed(
    env: dict[str, str],
    database: sa.Connection,
    queue: tuple[str, t.Callable[[], list[str]]],
    proxy: Proxy,
) -> None:
    """Two web processes of four threads, and two relays; each second, one of all dies.

    In turn: a web process, a relay, a connection to the database, all connections to
    the broker. What was committed is delivered. What comes twice was in a burst that
    was cut, at most one of each process for each kill.
    """
    writers = [Writer([*PROGRAM, str(COUNT)], env) for _ in range(2)]
    relays = [Process(RELAY, env) for _ in range(2)]
    kills: list[t.Callable[[], int]] = [
        lambda: random.choice(writers).kill(),  # noqa: S311 no secret
        lambda: random.choice(relays).kill(),  # noqa: S311
        lambda: _cut_database(database),
        proxy.cut,
    ]
    _wait_until(lambda: _count(database, "entry") > 0, 60)
    _wait_until(lambda: _count(database, "signalbus_relay") == len(relays), 60)
    end = time.monotonic() + SECONDS
    bursts = 0
    for kill in itertools.cycle(kills):
        time.sleep(INTERVAL)  # what goes on meanwhile is the point
        if time.monotonic() > end:
            break
        bursts += kill()
    for writer in writers:
        assert 0 == writer.process.wait(120)
    _wait_until(lambda: _count(database, "posted") == 0, 60)
    # One that was started again must have got so far that it can be told to stop.
    _wait_until(lambda: _running(database) >= {each.process.pid for each in relays}, 60)
    for relay in relays:
        relay.process.send_signal(signal.SIGTERM)
        assert 0 == relay.process.wait(60)
    delivered = collections.Counter(queue[1]())
    entries = database.exec_driver_sql("SELECT number FROM entry").scalars().all()
    again = sum(delivered.values()) - len(delivered)
    logger.info(
        "%d committed, %d bursts cut, %d came again", len(entries), bursts, again
    )

    assert len(entries) >= 8 * COUNT
    assert set(entries) == set(delivered)
    assert again <= bursts * BURST
