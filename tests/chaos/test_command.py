"""`hatch run chaos`: which scenarios it runs, and what it says."""

from __future__ import annotations

import pytest

from chaos import __main__ as command
from chaos.scenario import SCENARIOS


def test_it_lists_all_scenarios(capsys: pytest.CaptureFixture[str]) -> None:
    """With a title each, and runs nothing."""
    assert 0 == command.main(["--list"])
    lines = capsys.readouterr().out.splitlines()

    assert list(SCENARIOS) == [line.split()[0] for line in lines]
    assert all(scenario.title for scenario in SCENARIOS.values())


def test_an_unknown_scenario_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """By name, before anything starts."""
    with pytest.raises(SystemExit):
        command.main(["calm", "storm"])

    assert "There is no scenario 'storm'. See --list." in capsys.readouterr().err
