"""The pages on the relay and its deployment say what its command does."""

from __future__ import annotations

import re
import typing as t

import pytest

if t.TYPE_CHECKING:
    from flask import Flask
    from signalbus import SignalBus

#: An option in the page's table, and its default.
DESCRIBED = re.compile(r"^\| (?:`-\w`, )?`(--[\w-]+).*?\| (.*?) \|", re.MULTILINE)

#: An option in the help of a command, and what it says of it.
OFFERED = re.compile(r"^  (?:-\w, )?(--[\w-]+)((?:.|\n(?!  -))*)", re.MULTILINE)

#: How long those who supervise a relay wait before they kill it, in seconds.
PATIENCE = re.compile(
    r"^ *(?:TimeoutStopSec=|stop_grace_period: |terminationGracePeriodSeconds: )(\d+)",
    re.MULTILINE,
)


@pytest.fixture
def defaults(app: Flask, bus: SignalBus) -> dict[str, float | None]:
    """Give the options of ``flask signalbus run``, and their defaults."""
    shown = app.test_cli_runner().invoke(args=["signalbus", "run", "--help"])
    return {
        option: _number(re.search(r"default: ([\d.]+)", text))
        for option, text in OFFERED.findall(shown.output)
        if option != "--help"
    }


def test_every_option_is_described_with_its_default(
    manual: t.Callable[[str], str], defaults: dict[str, float | None]
) -> None:
    """The table on the page of the relay has all options, and no others."""
    described = {
        option: _number(re.match(r"([\d.]+)", default))
        for option, default in DESCRIBED.findall(manual("relay"))
    }

    assert defaults == described
    assert defaults["--poll"] == 1.0


def test_supervisors_wait_longer_than_the_grace(
    manual: t.Callable[[str], str], defaults: dict[str, float | None]
) -> None:
    """The unit, the compose file and the manifest let a relay finish its burst."""
    waits = [float(seconds) for seconds in PATIENCE.findall(manual("deployment"))]

    assert len(waits) == 3
    assert min(waits) > (defaults["--grace"] or 0)


def _number(match: re.Match[str] | None) -> float | None:
    return float(match[1]) if match else None
