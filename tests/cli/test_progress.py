"""What a long flush shows on a terminal, and what elsewhere."""

from __future__ import annotations

import sys
import threading
import typing as t

import pytest
from signalbus_cli import _progress

if t.TYPE_CHECKING:
    from conftest import Office
    from conftest import Outcome

Flask: t.TypeAlias = "t.Callable[..., Outcome]"


@pytest.fixture
def terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let stdout and stderr be a terminal, and show progress at once."""
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda self: True)
    monkeypatch.setattr(_progress, "_DELAY", 0)
    monkeypatch.setattr(_progress, "_INTERVAL", 0)


@pytest.mark.usefixtures("terminal")
def test_a_terminal_shows_the_progress(office: Office, flask: Flask) -> None:
    """Model, count and rate, drawn over and over in one line."""
    office.record(office.Parcel, "a", "b", "c", "d")

    outcome = flask("flushmany")

    assert "Parcel: 2 signals sent, " in outcome.err
    assert "Parcel: 4 signals sent, " in outcome.err
    assert " per second\r" in outcome.err
    assert "\n" not in outcome.err


@pytest.mark.usefixtures("terminal")
def test_the_progress_counts_one_signal(office: Office, flask: Flask) -> None:
    """The first is a signal, not signals."""
    office.record(office.Letter, "a")

    assert "Letter: 1 signal sent, " in flask("flushmany").err


@pytest.mark.usefixtures("terminal")
def test_the_progress_goes_away(office: Office, flask: Flask) -> None:
    """What remains is the line that tells how much was sent."""
    office.record(office.Letter, "a")

    outcome = flask("flushmany")

    assert outcome.err.endswith("\r\033[K\r")
    assert "1 signal sent\n" == outcome.out


@pytest.mark.usefixtures("terminal")
def test_short_runs_show_no_progress(
    office: Office, flask: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that flashes up helps nobody."""
    monkeypatch.setattr(_progress, "_DELAY", 3600)
    office.record(office.Letter, "a")

    assert "" == flask("flushmany").err


def test_no_progress_elsewhere(
    office: Office, flask: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pipe, or a log file, there is nothing but the result."""
    monkeypatch.setattr(_progress, "_DELAY", 0)
    office.record(office.Letter, "a")

    assert "" == flask("flushmany").err


def test_bursts_of_other_threads_are_not_counted(office: Office) -> None:
    """What the app sends itself meanwhile is not the command's work."""
    counter = _progress.SentCounter()
    office.bus.plugin_manager.register(counter)
    hook = office.bus.plugin_manager.hook.signalbus_burst_sent
    burst = {"bus": office.bus, "model": office.Letter, "count": 7, "seconds": 0.1}

    thread = threading.Thread(target=hook, kwargs=burst)
    thread.start()
    thread.join()

    assert 0 == counter.sent
