"""Autoflush in the background, in processes that fork, are patched, and end."""

from __future__ import annotations

import collections
import importlib.util
import os
import typing as t
from pathlib import Path

import pytest

if t.TYPE_CHECKING:
    import subprocess

    from flask_sqlalchemy import SQLAlchemy
    from signalbus import SignalBus
    from signalbus.typing import SignalModel

PROGRAM = Path(__file__).with_name("committer.py")

#: How many signals each process of the program commits.
COUNT = 20

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="There is no fork.")

needs_gevent = pytest.mark.skipif(
    importlib.util.find_spec("gevent") is None, reason="gevent is not installed."
)

Run: t.TypeAlias = "t.Callable[[str], subprocess.Popen[str]]"


@pytest.fixture
def sent(tmp_path: Path) -> t.Callable[[], list[str]]:
    """Tell what the program has sent."""
    path = tmp_path / "sent"
    path.touch()
    return lambda: path.read_text().splitlines()


@pytest.fixture
def run(
    interpreter: t.Any,
    greeting: SignalModel,
    engine_url: str,
    tmp_path: Path,
    sent: object,
) -> Run:
    """Run a scenario of the program to its end."""

    def run(scenario: str) -> subprocess.Popen[str]:
        process: subprocess.Popen[str] = interpreter(
            PROGRAM, engine_url, str(tmp_path / "sent"), scenario
        )
        process.wait(90)
        return process

    return run


def all_of(*names: str) -> collections.Counter[str]:
    """Return what processes and threads with *names* commit."""
    return collections.Counter(
        f"{name} {number}" for name in names for number in range(COUNT)
    )


@pytest.mark.parametrize(("scenario", "status"), [("end", 0), ("exit", 3)])
def test_process_that_ends_sends_what_waits(
    run: Run,
    sent: t.Any,
    pending: t.Any,
    greeting: SignalModel,
    scenario: str,
    status: int,
) -> None:
    """The end of the interpreter waits for the thread, whatever its exit status."""
    assert status == run(scenario).returncode
    assert [f"main {number}" for number in range(COUNT)] == sent()
    assert [] == pending(greeting)


@pytest.mark.databases("postgresql")
def test_process_that_ends_does_not_wait_for_ever(
    run: Run, sent: t.Any, pending: t.Any, greeting: SignalModel
) -> None:
    """A sender that hangs gets some seconds; then the process is gone."""
    assert 0 == run("hang").returncode
    assert [] == sent()
    assert COUNT == len(pending(greeting))


@needs_fork
@pytest.mark.databases
def test_child_forgets_what_its_parent_has_queued(
    run: Run, sent: t.Any, pending: t.Any, greeting: SignalModel
) -> None:
    """Parent and child send their own signals, each of them once."""
    assert 0 == run("fork").returncode
    assert all_of("parent", "child", "parent again") == collections.Counter(sent())
    assert [] == pending(greeting)


@needs_fork
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_child_of_multiprocessing_sends_what_waits(
    run: Run, sent: t.Any, pending: t.Any, greeting: SignalModel, method: str
) -> None:
    """Its end is not that of an interpreter, and it waits nevertheless."""
    assert 0 == run(f"multiprocessing {method}").returncode
    assert all_of("parent", "child") == collections.Counter(sent())
    assert [] == pending(greeting)


@needs_gevent
@pytest.mark.databases("postgresql")
def test_process_that_is_patched_by_gevent(
    run: Run, sent: t.Any, pending: t.Any, greeting: SignalModel
) -> None:
    """The thread is a greenlet there, and works as a thread does."""
    assert 0 == run("gevent").returncode
    names = [f"greenlet {number}" for number in range(4)]
    assert all_of(*names) == collections.Counter(sent())
    assert [] == pending(greeting)


def in_a_child(work: t.Callable[[], object]) -> int:
    """Do *work* in a forked process, and return its exit status."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 the child must not run other tests
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


@needs_fork
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.databases
def test_bus_that_was_used_before_a_fork(
    db: SQLAlchemy, bus: SignalBus, greeting: SignalModel, wire: t.Any
) -> None:
    """The child gets a thread of its own; the parent goes on with its own."""
    bus.autoflush = "background"

    def commit(text: str) -> None:
        db.session.add(greeting(text=text))
        db.session.commit()
        assert bus.drain_autoflush(60)

    def work() -> None:
        assert bus.drain_autoflush(60)
        for engine in db.engines.values():
            engine.dispose(close=False)
        commit("child")
        assert ["before", "child"] == wire.sent

    commit("before")
    assert 0 == in_a_child(work)
    commit("after")

    assert ["before", "after"] == wire.sent
    assert {greeting: 0} == bus.count_pending()
