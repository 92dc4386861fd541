"""The report: a table with all seeds taken together, JSON, and the manual."""

from __future__ import annotations

import dataclasses
import json
import typing as t

import pytest

from chaos import report
from chaos.run import Result
from chaos.verdict import Verdict

if t.TYPE_CHECKING:
    from pathlib import Path

GOOD = Verdict(
    recorded=1000,
    delivered=998,
    parked=2,
    lost=0,
    phantom=0,
    forgotten=0,
    duplicates=3,
    allowed=40,
    unexplained=0,
    disordered=0,
    orphans=0,
    pending=0,
    faults=5,
    resumed=0.25,
    caught_up=0.5,
)


def _result(seed: int, verdict: Verdict = GOOD) -> Result:
    failures = verdict.failures()
    return Result("calm", "Nothing happens", seed, 9.0, verdict, failures)


def test_seeds_are_taken_together() -> None:
    """Counts are added up, and the slowest recovery is told."""
    slower = dataclasses.replace(GOOD, resumed=3.0)
    last = report.table([_result(1), _result(2, slower)]).splitlines()[-1]

    cells = [cell.strip() for cell in last.strip("|").split("|")]
    assert ["calm", "10", "2,000", "1,996", "4"] == cells[:5]
    assert ["0", "0", "6 (80)", "0", "3.0 s", "0.5 s", "kept"] == cells[5:]


def test_a_broken_promise_is_told() -> None:
    """With its number, for each seed."""
    bad = _result(2, dataclasses.replace(GOOD, lost=1))

    assert "1 lost" in report.line(bad)
    assert "1 lost" in report.table([_result(1), bad])


def test_results_are_written_as_json(tmp_path: Path) -> None:
    """With all that the verdict counted."""
    report.write_json([_result(7)], tmp_path / "results.json")
    (result,) = json.loads((tmp_path / "results.json").read_text())

    assert (7, "calm") == (result["seed"], result["scenario"])
    assert dataclasses.asdict(GOOD) == result["verdict"]


def test_the_table_is_written_into_its_place_in_the_manual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that made it; what is around it stays."""
    page = tmp_path / "chaos.md"
    page.write_text(
        "before\n<!-- written by hatch run chaos -->\nold\n<!-- end -->\nafter\n"
    )
    monkeypatch.setattr(report, "PAGE", page)
    report.write_docs([_result(1)], "hatch run chaos", {"Processor": "Abacus"})
    text = page.read_text()

    assert text.startswith("before\n")
    assert text.endswith("<!-- end -->\nafter\n")
    assert "old" not in text
    assert all(part in text for part in ("\nhatch run chaos\n", "| calm", "Abacus"))


def test_a_page_without_a_place_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names what to add."""
    page = tmp_path / "chaos.md"
    page.touch()
    monkeypatch.setattr(report, "PAGE", page)
    with pytest.raises(ValueError, match="written by hatch run chaos"):
        report.write_docs([_result(1)], "hatch run chaos", {})
