"""SIGTERM and SIGINT end a run after its burst; until then `--repeat` goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
import typing as t

import pytest
import sqlalchemy as sa
from signalbus.stopping import StopToken
from signalbus_cli._schedule import starts

if t.TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Office
    from conftest import Outcome

Flask: t.TypeAlias = "t.Callable[..., Outcome]"
Started: t.TypeAlias = "t.Callable[..., subprocess.Popen[str]]"

#: After how many seconds a process that was told to stop counts as hanging.
BOUND = 60


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", ["flush", "flushmany", "flushordered"])
def test_a_signal_ends_the_run_after_the_burst_at_hand(
    office: Office, flask: Flask, command: str, signum: signal.Signals
) -> None:
    """The burst is finished and committed, the next one does not begin: status 0."""
    office.record(office.Parcel, "a", "b", "c", "d")
    office.on_sending = lambda text: text == "a" and signal.raise_signal(signum)

    outcome = flask(command)

    assert (0, "2 signals sent\n") == (outcome.status, outcome.out)
    assert ["a", "b"] == office.sent
    assert 2 == office.pending()


def test_a_run_that_failed_before_it_was_stopped_has_failed(
    office: Office, flask: Flask
) -> None:
    """The status is 1 if something could not be sent, though it was stopped."""

    def fail(text: str) -> None:
        signal.raise_signal(signal.SIGTERM)
        raise ValueError(text)

    office.record(office.Letter, "a", "b")
    office.on_sending = fail

    outcome = flask("flushmany")

    assert 1 == outcome.status
    assert "ValueError: a" in outcome.err


def test_repeat_goes_on_after_an_error_until_told_to_stop(
    office: Office, flask: Flask
) -> None:
    """A failing run is reported, the next one comes; the status is the last one's."""
    tries = []

    def fail_twice(text: str) -> None:
        tries.append(text)
        if len(tries) < 3:
            raise ValueError(["first", "second"][len(tries) - 1])
        signal.raise_signal(signal.SIGTERM)

    office.record(office.Letter, "a")
    office.on_sending = fail_twice

    outcome = flask("flushmany", "--repeat=0.01")

    assert (0, "1 signal sent\n") == (outcome.status, outcome.out)
    assert "ValueError: first" in outcome.err
    assert "ValueError: second" in outcome.err


def test_a_signal_ends_the_wait_for_the_next_run(office: Office, flask: Flask) -> None:
    """Between two runs the end comes at once."""
    to_main = [threading.main_thread().ident, signal.SIGTERM]
    stop_soon = threading.Timer(0.1, signal.pthread_kill, to_main)
    office.on_sending = lambda text: stop_soon.start()
    office.record(office.Letter, "a")

    assert 0 == flask("flushmany", "--repeat=3600").status


@pytest.fixture
def started(post_office: Path) -> Iterator[t.Callable[..., subprocess.Popen[str]]]:
    """Start `flask signalbus ARGUMENTS…` in a process, which does not outlive us."""
    with contextlib.ExitStack() as stack:

        def start(
            *arguments: str, stderr: int = subprocess.PIPE, **variables: str
        ) -> subprocess.Popen[str]:
            process = subprocess.Popen(  # noqa: S603 our own command
                [
                    sys.executable,
                    "-m",
                    "flask",
                    "--app",
                    "post",
                    "signalbus",
                    *arguments,
                ],
                env={**os.environ, **variables},
                cwd=post_office,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            return process

        yield start


def _stop(
    process: subprocess.Popen[str], signum: signal.Signals
) -> tuple[int, str, str]:
    """Tell a process to stop, and return how it ended. One that hangs is an error."""
    process.send_signal(signum)
    out, err = process.communicate(timeout=BOUND)
    return process.returncode, out, err


def _shown(screen: int) -> bytes:
    """Return what a terminal has shown, whose last process has ended."""
    shown = b""
    with (
        os.fdopen(screen, "rb", buffering=0) as terminal,
        contextlib.suppress(OSError),  # so ends what Linux has of it
    ):
        while more := terminal.read(1000):
            shown += more
    return shown


def test_a_relay_ends_cleanly(started: Started) -> None:
    """A process of its own, told to stop while it waits, exits with 0."""
    relay = started("flushmany", "--repeat=3600")
    assert relay.stdout is not None
    assert "1 signal sent\n" == relay.stdout.readline()

    assert (0, "", "") == _stop(relay, signal.SIGTERM)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(
    started: Started, post_office: Path, first: signal.Signals, second: signal.Signals
) -> None:
    """It does not wait for the burst, which the database rolls back."""
    command = started("flushmany", POST_STUCK="yes")
    assert command.stdout is not None
    assert "sends\n" == command.stdout.readline()
    command.send_signal(first)
    assert "is told to stop\n" == command.stdout.readline()

    assert (-second, "", "") == _stop(command, second)
    engine = sa.create_engine(f"sqlite:///{post_office}/instance/post.sqlite")
    with engine.connect() as connection:
        assert [1] == connection.scalars(sa.text("SELECT id FROM letter")).all()


def test_a_terminal_is_told_how_to_quit_at_once(started: Started) -> None:
    """Ctrl-C answers when the command will end, and what ends it sooner."""
    screen, terminal = os.openpty()
    command = started("flushmany", stderr=terminal, POST_STUCK="yes")
    os.close(terminal)
    assert command.stdout is not None
    assert "sends\n" == command.stdout.readline()
    command.send_signal(signal.SIGINT)
    assert "is told to stop\n" == command.stdout.readline()

    command.kill()
    command.wait(BOUND)
    assert b"Press Ctrl-C again to quit at once." in _shown(screen)


def test_a_terminal_is_told_that_an_idle_relay_stops(started: Started) -> None:
    """Between two runs there is no burst, and nothing to wait for."""
    screen, terminal = os.openpty()
    relay = started("flushmany", "--repeat=3600", stderr=terminal)
    os.close(terminal)
    assert relay.stdout is not None
    assert "1 signal sent\n" == relay.stdout.readline()
    assert (0, "", None) == _stop(relay, signal.SIGINT)

    shown = _shown(screen)  # begins with the progress, where sending took a while
    assert shown.endswith(b"\r\033[KStopping.\r\n")
    assert 1 == shown.count(b"\n")


@pytest.mark.databases("postgresql", "mariadb")
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("arguments", [["flush", "--wait=3600"], ["flushordered"]])
def test_a_signal_ends_the_wait_for_locked_rows(
    started: Started, engine_url: str, arguments: list[str], signum: signal.Signals
) -> None:
    """A command that waits for locked rows ends at once, and tells what it did."""
    engine = sa.create_engine(engine_url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE letter (id INTEGER PRIMARY KEY)")
        connection.exec_driver_sql("INSERT INTO letter VALUES (2)")
    with engine.begin() as connection:
        lock = "SELECT id FROM letter WHERE id = 2 FOR UPDATE"
        connection.exec_driver_sql(lock)
        command = started(*arguments, POST_URL=engine_url)
        assert command.stdout is not None
        assert "asks for letter 2\n" == command.stdout.readline()

        status, out, err = _stop(command, signum)

    assert (0, "1 signal sent", "") == (status, out.splitlines()[-1], err)
    with engine.connect() as connection:
        assert [2] == connection.scalars(sa.text("SELECT id FROM letter")).all()


def test_repetitions_are_measured_from_start_to_start() -> None:
    """The time that a run took is taken off the wait for the next one."""
    waits: list[float] = []
    begun = time.monotonic()

    for _ in starts(100, lambda seconds: bool(waits.append(seconds))):
        if len(waits) == 2:
            break
        time.sleep(0.01)
    took = time.monotonic() - begun

    assert 2 == len(waits)
    assert all(100 - took <= wait <= 99.99 for wait in waits)


def test_a_late_run_is_followed_by_the_next_at_once() -> None:
    """A wait that is over before it begins is none."""
    for number, _ in enumerate(starts(0.001, StopToken().wait)):
        time.sleep(0.002)
        if number == 2:
            break

    assert 2 == number


def test_without_repeat_there_is_one_run() -> None:
    """No repetition, no wait."""
    assert [None] == list(starts(None, lambda _: pytest.fail("It waits.")))


def test_a_wish_that_came_before_the_wait_is_heeded() -> None:
    """No signal is forgotten between two runs."""
    token = StopToken()
    with token.on_signals():
        signal.raise_signal(signal.SIGTERM)

    assert [None] == list(starts(3600, token.wait))


def test_other_threads_run_commands(office: Office, flask: Flask) -> None:
    """Where Python allows no handlers, a run goes without."""
    outcomes: list[Outcome] = []
    office.record(office.Letter, "a")

    thread = threading.Thread(target=lambda: outcomes.append(flask("flushmany")))
    thread.start()
    thread.join()

    assert ["1 signal sent\n"] == [outcome.out for outcome in outcomes]


def test_handlers_are_put_back(office: Office, flask: Flask) -> None:
    """After a command the process heeds signals as before."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)

    flask("flushmany")

    assert before == (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT))
