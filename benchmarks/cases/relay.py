"""Commit a hundred times a second, and send from another process, woken or not."""

from __future__ import annotations

import contextlib
import functools
import itertools
import statistics
import subprocess
import sys
import threading
import time
import typing as t

from benchmarks import program
from benchmarks import spec
from benchmarks.cases import database

#: The time between the beginnings of two commits, in seconds.
PACE = 0.01

#: Commits before those that are measured.
WARM_UP = 50

#: How long a signal may take, in seconds.
PATIENCE = 30.0

#: The bare driver's relay: it is woken, and takes what is there.
TAKE = "DELETE FROM signals RETURNING id"


def follow(
    job: spec.Job, relay: str, figure: str | float, plugins: str = "retry"
) -> spec.Steps:
    """Commit, and tell how long that takes, or how late the other process sends.

    :param relay: the function of this module that the other process runs.
    :param figure: ``"commit"`` for the median of a commit; otherwise the share of the
        signals that are sent, after their commits, within the time that is told.
    """
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(program.running(job, plugins))
        running.bus.autoflush = False
        model = running.model("signals", **program.idle_sender("rows"))
        running.db.create_all()
        notify: t.Callable[[], object] = lambda: None  # noqa: E731 the plugin does it
        if relay == bare.__name__:
            connection = stack.enter_context(database.connect(job))
            connection.autocommit = True
            notify = functools.partial(connection.execute, "NOTIFY signals")
        sent = stack.enter_context(_running(job, relay))
        keys = itertools.count(1)
        for count in (WARM_UP, job.size):
            times = [_commit(running, model, next(keys), notify) for _ in range(count)]
            late = sorted(sent.when(key) - end for key, _, end in times)
            seconds = (
                statistics.median(end - start for _, start, end in times)
                if figure == "commit"
                else late[int(float(figure) * (count - 1))]
            )
            yield seconds * job.size


def _commit(
    running: program.Program, model: t.Any, key: int, notify: t.Callable[[], object]
) -> tuple[int, float, float]:
    """Commit a signal; return its key, and when the commit began and ended."""
    start = time.monotonic()
    running.db.session.add(model(id=key, payload="x" * 100))
    running.db.session.commit()
    end = time.monotonic()
    notify()
    running.db.session.remove()
    time.sleep(max(0.0, start + PACE - time.monotonic()))
    return key, start, end


class Sent:
    """When the other process has sent each signal, as it prints it."""

    def __init__(self, lines: t.Iterable[str]) -> None:
        self._times: dict[int, float] = {}
        self._changed = threading.Condition()
        threading.Thread(target=self._read, args=[lines], daemon=True).start()

    def when(self, key: int) -> float:
        """Return the time at which a signal was sent, by the clock of the machine."""
        with self._changed:
            if not self._changed.wait_for(lambda: key in self._times, PATIENCE):
                raise RuntimeError(f"the signal {key} was not sent")
            return self._times[key]

    def _read(self, lines: t.Iterable[str]) -> None:
        for line in lines:
            key, at = line.split()
            with self._changed:
                self._times[int(key)] = float(at)
                self._changed.notify_all()


@contextlib.contextmanager
def _running(job: spec.Job, relay: str) -> t.Iterator[Sent]:
    """Run the other process until it is no longer needed."""
    source = (
        f"import sys; from benchmarks.cases import relay; relay.{relay}(*sys.argv[1:])"
    )
    command = [sys.executable, "-c", source, job.library, job.database_url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 our own program
        assert process.stdout  # noqa: S101 it is a pipe
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("the other process did not start")
        try:
            yield Sent(process.stdout)
        finally:
            process.terminate()


def _tell(keys: t.Iterable[int]) -> None:
    now = time.monotonic()
    print(*(f"{key} {now}\n" for key in keys), sep="", end="", flush=True)


def ours(library: str, database_url: str) -> None:
    """Run the relay of signalbus-relay."""
    from signalbus_relay import Relay

    def send(_: object, signals: t.Iterable[t.Any]) -> None:
        _tell(signal.id for signal in signals)

    job = spec.Job(library, database_url, None, "", 0, 1000)
    with program.running(job, "retry") as running:
        methods = program.idle_sender("rows")
        methods["send_signalbus_messages"] = classmethod(send)
        running.signals(job, **methods)
        running.db.create_all()
        print("ready", flush=True)
        Relay(running.app).run()


def bare(_: str, database_url: str) -> None:
    """Wait for notifications, and take what is there, by the driver alone."""
    import psycopg

    address = database_url.replace("postgresql+psycopg:", "postgresql:")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("LISTEN signals")
        print("ready", flush=True)
        while True:
            list(connection.notifies(stop_after=1))
            _tell(key for (key,) in connection.execute(TAKE).fetchall())


LATE = "commit to confirm by a relay in another process, 100 commits/s"


def _lateness(name: str, title: str, share: float, most: float) -> spec.Case:
    subjects = (
        spec.Subject(spec.OURS, follow, {"relay": ours.__name__, "figure": share}),
        spec.Subject(
            f"{spec.LIMIT}: bare driver",
            follow,
            {"relay": bare.__name__, "figure": share, "plugins": "relay,retry"},
        ),
    )
    goal = spec.Bound(most)
    return spec.Case(name, title, subjects, goal, "µs", size=400, pending=False)


COMMITS = (
    spec.Subject(spec.OURS, follow, {"relay": ours.__name__, "figure": "commit"}),
    spec.Subject(
        "no notification",
        follow,
        {"relay": ours.__name__, "figure": "commit", "plugins": "relay,retry"},
    ),
)

CASES = (
    _lateness("relay/median", LATE, 0.5, 10_000),
    _lateness("relay/late", f"{LATE}, 99 of 100", 0.99, 50_000),
    spec.Case(
        "relay/commit",
        "a commit that wakes a relay",
        COMMITS,
        spec.Goal(1 / 1.05, "no notification"),
        "µs",
        size=400,
        pending=False,
    ),
)
