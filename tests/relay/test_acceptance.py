"""The relay and the background autoflush, as those who run them see them.

Everything here is a process of its own: `flask signalbus run`, and programs that commit
signals. What they send is a line in a file, the mailbox.
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import json
import logging
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import typing as t
import urllib.request
from pathlib import Path

import pytest
import sqlalchemy as sa

pytest.importorskip("signalbus_cli", reason="signalbus-cli is not installed")

if t.TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

HERE = Path(__file__).parent

#: After how many seconds something that does not happen counts as missing. The machine
#: may be busy.
BOUND = 60.0

#: A poll that never comes while a test runs.
NEVER = "600"

#: Where the programs of PostgreSQL are. Debian does not put all of them on the PATH.
PROGRAMS = os.pathsep.join(
    [os.environ["PATH"], *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
)

SIGNALBUS = [sys.executable, "-m", "flask", "--app", "acceptance_shop", "signalbus"]
SHOP = [sys.executable, str(HERE / "acceptance_shop.py")]


pytestmark = pytest.mark.timeout(300)  # longer than a few bounds


def wait_until(condition: t.Callable[[], object]) -> None:
    """Wait for what nobody announces."""
    deadline = time.monotonic() + BOUND
    while not condition():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.02)


class Process(subprocess.Popen[str]):
    """A process of the shop, and what it says."""

    def __init__(
        self, log: Path, command: t.Sequence[str], env: dict[str, str]
    ) -> None:
        """Start it; *log* gets its standard error."""
        self.log = log
        with log.open("w") as stderr:
            super().__init__(  # our own program
                command,
                cwd=HERE,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )

    def lines(self) -> list[str]:
        """Return what it has logged."""
        return self.log.read_text().splitlines()

    def answer(self) -> str:
        """Wait for the next line of its output."""
        assert self.stdout is not None
        return self.stdout.readline().strip()

    def ask(self, *lines: str) -> None:
        """Give it some lines of input."""
        assert self.stdin is not None
        self.stdin.writelines(f"{line}\n" for line in lines)
        self.stdin.flush()

    def stop(self) -> int:
        """Tell it to end, and return its exit status."""
        self.send_signal(signal.SIGTERM)
        return self.wait(BOUND)

    def cpu_seconds(self) -> float:
        """Return how long it has used a processor."""
        times = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")


class Site:
    """All processes of a shop, its database and its mailbox."""

    def __init__(self, url: str, folder: Path) -> None:
        """Create the tables."""
        self.url = url
        self.folder = folder
        self.mailbox = folder / "mailbox"
        self.mailbox.touch()
        self.engine = sa.create_engine(
            url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT"
        )
        self._processes: list[Process] = []
        create = "import acceptance_shop as it\nit.app.app_context().push()\n"
        program = [sys.executable, "-c", f"{create}it.db.create_all()"]
        assert 0 == self.start(program).wait(BOUND)

    def start(self, command: t.Sequence[str], **config: str) -> Process:
        """Start a process; *config* is added to the configuration of the app."""
        config = {"SQLALCHEMY_DATABASE_URI": self.url, **config}
        env = {
            **os.environ,
            "MAILBOX": str(self.mailbox),
            "SIGNALBUS_DISABLED_PLUGINS": "",
            **{f"FLASK_{key}": value for key, value in config.items()},
        }
        log = self.folder / f"{len(self._processes)}.log"
        process = Process(log, command, env)
        self._processes.append(process)
        return process

    def run(self, *arguments: str, **config: str) -> Process:
        """Start a relay, and wait until it says that it has begun."""
        (relay,) = self.run_several(1, *arguments, **config)
        return relay

    def run_several(self, count: int, *arguments: str, **config: str) -> list[Process]:
        """Start relays, and wait until all say that they have begun."""
        config = {"SIGNALBUS_AUTOFLUSH": "false", **config}
        command = [*SIGNALBUS, "run", *arguments]
        relays = [self.start(command, **config) for _ in range(count)]
        for relay in relays:
            assert relay.answer().startswith("Relay of shop"), relay.lines()
        return relays

    def execute(self, statement: str) -> t.Any:
        """Execute SQL of our own, and return the first value, if there is one."""
        with self.engine.connect() as connection:
            result = connection.exec_driver_sql(statement)
            return result.scalar() if result.returns_rows else None

    def record(self, table: str, *texts: str) -> None:
        """Make signals pending, which nobody hears about."""
        rows = sa.table(table, sa.column("text"))
        with self.engine.connect() as connection:
            connection.execute(sa.insert(rows), [{"text": text} for text in texts])

    def pending(self) -> int:
        """Count what is pending."""
        count = "SELECT (SELECT count(*) FROM letter) + (SELECT count(*) FROM parcel)"
        return int(self.execute(count))

    def delivered(self) -> list[tuple[int, str]]:
        """Return by whom what was sent, in that order."""
        lines = (line.split() for line in self.mailbox.read_text().splitlines())
        return [(int(pid), text) for pid, text in lines]

    def texts(self) -> list[str]:
        """Return what was sent."""
        return [text for _, text in self.delivered()]

    def expect(self, *texts: str) -> None:
        """Wait until these texts were sent."""
        wait_until(lambda: set(texts) <= set(self.texts()))

    def close(self) -> None:
        """Kill what still runs."""
        for process in self._processes:
            with process:
                process.kill()


@pytest.fixture
def site(engine_url: str, tmp_path: Path) -> Iterator[Site]:
    """Give a shop on the database of the test."""
    with contextlib.closing(Site(engine_url, tmp_path)) as site:
        yield site


class Server:
    """A PostgreSQL server of our own."""

    def __init__(self, folder: Path) -> None:
        """Make a cluster in *folder*, as somebody whom PostgreSQL accepts."""
        self._folder = folder
        self._data = folder / "data"
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port = listener.getsockname()[1]
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{self._port}/postgres"
        self.log = folder / "log"
        options = ["--no-sync", "--no-locale", "-E", "UTF8", "-U", "postgres"]
        self._pg(
            "initdb", *options, "-A", "trust", "-D", str(self._data)
        ).check_returncode()

    def start(self) -> None:
        """Start the server, and wait until it takes connections."""
        settings = {
            "port": self._port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "log_statement": "all",
        }
        options = " ".join(f"-c {key}={value!r}" for key, value in settings.items())
        self._control("start", "-l", str(self.log), "-o", options)

    def stop(self) -> None:
        """Break all connections, and stop the server."""
        self._control("stop", "-m", "fast")

    def statements(self) -> list[str]:
        """Return what was executed so far, transaction control included."""
        pattern = r"LOG:  (?:statement|execute [^:]*): (.*)"
        return re.findall(pattern, self.log.read_text())

    def _control(self, *arguments: str) -> None:
        self._pg("pg_ctl", "-w", "-D", str(self._data), *arguments).check_returncode()

    def _pg(self, program: str, *options: str) -> subprocess.CompletedProcess[bytes]:
        path = shutil.which(program, path=PROGRAMS)
        assert path is not None
        return subprocess.run(  # noqa: S603 our own server
            [path, *options],
            check=False,
            cwd=self._folder,
            user=self._user,
            stdout=subprocess.DEVNULL,  # the server inherits it, so a pipe stays open
            stderr=subprocess.DEVNULL,
        )


@pytest.fixture(scope="module")
def cluster() -> Iterator[Server]:
    """Give a PostgreSQL server that a test may stop, which has not been started."""
    if not all(
        shutil.which(program, path=PROGRAMS) for program in ("initdb", "pg_ctl")
    ):
        pytest.skip("The programs initdb and pg_ctl of PostgreSQL are not installed.")
    if os.geteuid() == 0 and "postgres" not in {
        user.pw_name for user in pwd.getpwall()
    }:
        pytest.skip("PostgreSQL does not run as root, and no user is named postgres.")
    with tempfile.TemporaryDirectory(prefix="signalbus_") as folder:
        yield Server(Path(folder))


@pytest.fixture
def server(cluster: Server, tmp_path: Path) -> Iterator[Server]:
    """Give a running PostgreSQL server that the test may stop."""
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def own_site(server: Server, tmp_path: Path) -> Iterator[Site]:
    """Give a shop on a server that the test may stop."""
    with contextlib.closing(Site(server.url, tmp_path)) as site:
        yield site
        for table in ("letter", "parcel"):
            site.execute(f"DELETE FROM {table}")  # noqa: S608 our own table


def failures(site: Site) -> list[dict[str, t.Any]]:
    """Return the signals that have failed, as the command shows them."""
    process = site.start([*SIGNALBUS, "failures", "--list", "--json"])
    out, _ = process.communicate(timeout=BOUND)
    return list(json.loads(out))


def parked(site: Site) -> int:
    """Count the signals that are parked."""
    query = "SELECT count(*) FROM signalbus_failure WHERE next_attempt_at IS NULL"
    return int(site.execute(query))


def is_done_by(relay: Process, site: Site) -> bool:
    """Wait until only a parked signal is left, and tell whether the relay survives."""
    wait_until(
        lambda: relay.poll() is not None or (1 == site.pending() and 1 == parked(site))
    )
    return relay.poll() is None


def listener(address: str) -> str:
    """Return the state of the listener of the relay that has its health there."""
    with urllib.request.urlopen(f"http://{address}/healthz") as answer:
        return str(json.load(answer)["listeners"]["default"])


def commits_wake(
    site: Site, relay: str, web: Process, numbers: t.Iterator[int]
) -> bool:
    """Tell whether letters go out at once, while a parcel that nobody told of stays.

    A relay that polls finds both, or none.
    """
    if listener(relay) != "listening":
        return False
    parcel = f"parcel-{next(numbers)}"
    site.record("parcel", parcel)
    for _ in range(5):
        letter = f"letter-{next(numbers)}"
        web.ask(letter)
        if web.answer() == "committed":
            site.expect(letter)
    return parcel not in site.texts()


def test_relay_and_web_process_go_on_when_postgresql_restarts(
    server: Server, own_site: Site
) -> None:
    """Nobody starts them again; the relay is woken as before, and the logs are few."""
    site = own_site
    numbers = itertools.count()
    with socket.create_server(("127.0.0.1", 0)) as free:
        health = f"127.0.0.1:{free.getsockname()[1]}"
    relay = site.run("--poll", NEVER, "--health", health)
    web = site.start(SHOP, SIGNALBUS_AUTOFLUSH="background")
    quiet = site.start(SHOP, SIGNALBUS_AUTOFLUSH="false")
    wait_until(lambda: commits_wake(site, health, quiet, numbers))
    asked = [f"meanwhile-{n}" for n in range(300)]
    web.ask(*asked, "down")
    server.stop()
    answers = [web.answer() for _ in asked]
    assert "failed" == web.answer()
    wait_until(lambda: listener(health) == "connecting")
    server.start()
    began = time.monotonic()

    def is_sent_by_web() -> bool:
        text = f"after-{next(numbers)}"
        web.ask(text)
        web.answer()  # its breaker may still be open, so the relay may be quicker
        return any(web.pid == pid and "after" in text for pid, text in site.delivered())

    wait_until(is_sent_by_web)
    after_web = time.monotonic() - began
    wait_until(lambda: commits_wake(site, health, quiet, numbers))
    after_relay = time.monotonic() - began
    logger.info("Back after %.1f and %.1f s.", after_web, after_relay)
    site.execute("SELECT pg_notify('signalbus', '')")
    wait_until(lambda: 0 == site.pending())

    committed = {
        text for text, said in zip(asked, answers, strict=True) if said == "committed"
    }
    assert committed <= set(site.texts())
    assert 0 == relay.stop()
    for process in (relay, web):
        logger.info("%s", "\n".join(process.lines()))
        assert len(process.lines()) <= 6, process.lines()


#: The statement of a look.
LOOK = re.compile(r"SELECT (letter|parcel)\.id ")


def is_idle(statements: list[str]) -> bool:
    """Tell whether the relay listens, and has done nothing but look for a while."""
    listens = any("pg_notify" in each for each in statements)
    return listens and all(map(LOOK.fullmatch, statements[-10:]))


def test_idle_relay_asks_once_in_a_poll_for_each_model(
    server: Server, own_site: Site
) -> None:
    """All that reaches the server counts: heartbeats and transaction control, too."""
    poll, window = 0.5, 15.5  # a heartbeat is in it
    before = len(server.statements())
    relay = own_site.run("--poll", str(poll))
    wait_until(lambda: is_idle(server.statements()[before:]))
    executed, used = len(server.statements()), relay.cpu_seconds()
    began = time.monotonic()
    time.sleep(window)
    statements = server.statements()[executed:]
    used = relay.cpu_seconds() - used
    window = time.monotonic() - began

    models = 2
    logger.info("%s; %.2f s", collections.Counter(statements).most_common(), used)
    assert len(statements) <= models * window / poll, collections.Counter(statements)
    assert len(statements) >= models * 20  # it does look
    beats = [each for each in statements if not LOOK.fullmatch(each)]
    assert 1 <= len(beats) <= 2  # every 15 seconds, one statement
    assert used < 0.02 * window
    assert 0 == relay.stop()


@pytest.mark.databases
def test_signal_that_ends_its_process_is_parked_after_its_last_attempt(
    site: Site,
) -> None:
    """So it is enough to start the relay again each time. All others go out."""
    policy = '{"max_attempts": 3, "first_delay": 0.05, "jitter": 0}'
    letters = [f"letter-{n}" for n in range(15)]
    parcels = [f"parcel-{n}" for n in range(15)]
    site.record("letter", *letters[:7], "fatal", *letters[7:])
    site.record("parcel", *parcels)
    crashes = 0
    while True:
        relay = site.run("--poll", "0.1", SIGNALBUS_RETRY=policy)
        if is_done_by(relay, site):
            break
        assert 3 == relay.wait()
        crashes += 1
    assert 0 == relay.stop()

    (failure,) = failures(site)
    assert 3 == crashes == failure["attempts"]
    assert failure["state"] == "parked"
    assert "ProcessEndedError" in failure["error_type"]
    assert "The process ended" in failure["error_text"]
    times = collections.Counter(site.texts())
    assert {*letters, *parcels, "fatal"} == set(times)
    logger.info("sent: %s", times)
    assert 3 == times.pop("fatal")
    assert max(times.values()) <= 1 + crashes


@pytest.mark.databases("postgresql")
def test_two_relays_and_two_processes_send_each_signal_once(site: Site) -> None:
    """As long as nothing crashes, nothing that is shared in this way comes twice."""
    relays = site.run_several(2, "--poll", "0.1")
    command = [*SHOP, "4", "250"]
    writers = [site.start(command, SIGNALBUS_AUTOFLUSH="background") for _ in range(2)]
    assert [0, 0] == [writer.wait(BOUND) for writer in writers]
    wait_until(lambda: 0 == site.pending())
    assert [0, 0] == [relay.stop() for relay in relays]

    texts = site.texts()
    assert 2000 == len(texts) == len(set(texts))


@pytest.mark.databases("postgresql", "sqlite")
def test_process_that_ends_after_its_last_commit_has_sent_everything(
    site: Site,
) -> None:
    """The interpreter waits for what the background has not sent yet."""
    writer = site.start([*SHOP, "1", "500"], SIGNALBUS_AUTOFLUSH="background")
    assert 0 == writer.wait(BOUND)

    assert 0 == site.pending()
    assert 500 == len(site.texts()) == len(set(site.texts()))
    assert [] == writer.lines()
