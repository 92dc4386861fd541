"""What a relay says of failures that go on: each once, and again now and then."""

from __future__ import annotations

import signal
import typing as t

import pytest
from signalbus import hookimpl
from signalbus.exceptions import ReportLine
from signalbus_cli._run import run

if t.TYPE_CHECKING:
    from conftest import Office
    from conftest import Outcome
    from flask import Flask as App

Flask: t.TypeAlias = "t.Callable[..., Outcome]"

WAITS = "Letter(id=13) was not sent and waits, next attempt in 4 s: ValueError: poison"


@pytest.mark.usefixtures("bus")
def test_a_relay_does_not_recover_from_signals_that_wait(
    app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each attempt that failed is a line, and the runs without one say nothing."""
    runs = iter(["fails", "fails", "sends", "stops"])

    def flush(bus: object) -> None:
        what = next(runs)
        if what == "stops":
            _stop()
        if what == "fails":
            error = ValueError("poison")
            error.__notes__ = [ReportLine(WAITS, is_settled=True)]
            raise error

    assert run(app, flush, interval=0.001)
    assert f"Error: {WAITS}\n" * 2 == capsys.readouterr().err


def test_a_relay_tells_what_is_new_and_that_it_is_over(
    office: Office, flask: Flask
) -> None:
    """One line when it fails, one when it does not, and none in between."""
    tries = []

    def fail_for_a_while(text: str) -> None:
        tries.append(text)
        if len(tries) <= 20:
            raise ValueError(f"try {len(tries)}")
        office.on_sending = lambda text: _stop()

    class Sequel:
        @hookimpl
        def signalbus_burst_sent(self) -> None:
            """Record what the next run is for."""
            if office.sent == ["a"]:
                office.record(office.Letter, "b")

    office.bus.plugin_manager.register(Sequel())
    office.record(office.Letter, "a")
    office.on_sending = fail_for_a_while

    outcome = flask("flush", "--repeat=0.001")

    assert 0 == outcome.status
    assert [
        "Error: Letter(id=1) was not sent and stays pending: ValueError: try 1",
        "Recovered after 20 failed runs.",
    ] == outcome.err.splitlines()


def test_a_run_that_is_stopped_proves_no_recovery(office: Office, flask: Flask) -> None:
    """It may have tried nothing."""
    tries = []

    def fail_then_stop(text: str) -> None:
        tries.append(text)
        if len(tries) == 1:
            raise ValueError(text)
        _stop()

    office.record(office.Letter, "a")
    office.on_sending = fail_then_stop

    assert "Recovered" not in flask("flushmany", "--repeat=0.001").err


def test_a_relay_that_fails_to_the_end_exits_with_1(
    office: Office, flask: Flask
) -> None:
    """What is not told again counts all the same."""
    tries = []

    def fail(text: str) -> None:
        tries.append(text)
        if len(tries) == 20:
            _stop()
        raise ValueError(text)

    office.record(office.Letter, "a")
    office.on_sending = fail

    outcome = flask("flushmany", "--repeat=0.001")

    assert (1, 1) == (outcome.status, outcome.err.count("\n"))


def _stop() -> None:
    signal.raise_signal(signal.SIGTERM)
