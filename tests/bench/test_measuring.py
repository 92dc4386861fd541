"""Choosing cases, and measuring them in processes of their own."""

from __future__ import annotations

import importlib
import json
import struct
import typing as t

import pytest

from benchmarks import __main__ as command
from benchmarks.cases import Case
from benchmarks.cases import Subject
from benchmarks.cases import ours
from benchmarks.catalogue import CASES
from benchmarks.catalogue import select
from benchmarks.measure import measure
from benchmarks.subjects.broker import Confirms

if t.TYPE_CHECKING:
    from pathlib import Path

OURS = ours("bus:flushmany")

TINY = Case("tiny", "few", (OURS,), size=20, burst=7, database="sqlite")


def test_names_of_cases_are_unique() -> None:
    """Each can be chosen."""
    assert len(CASES) == len({case.name for case in CASES})


@pytest.mark.parametrize(
    "work", sorted({each.work for case in CASES for each in case.subjects})
)
def test_work_of_every_subject_exists(work: str) -> None:
    """A worker finds the function that its job names."""
    module, _, function = work.partition(":")

    assert callable(
        getattr(importlib.import_module(f"benchmarks.subjects.{module}"), function)
    )


def test_group_selects_all_of_its_cases() -> None:
    """The part before the slash is enough."""
    assert ["rabbitmq-burst/1", "rabbitmq-burst/100"] == [
        case.name for case in select(["rabbitmq-burst"])
    ]


def test_unknown_case_is_an_error() -> None:
    """It names the case."""
    with pytest.raises(LookupError, match="'speed'"):
        select(["flushmany-rows", "speed"])


def test_bus_is_measured_on_a_database_of_its_own() -> None:
    """Another process flushes all signals, in every round."""
    result = measure(TINY, 2, lambda _: None)

    assert {} == result.failures
    assert [20, 20] == [outcome.signals for outcome in result.outcomes[OURS]]
    assert all(outcome.cpu_seconds > 0 for outcome in result.outcomes[OURS])


def test_subject_that_fails_does_not_stop_the_others() -> None:
    """It is not tried again, and its last words are kept."""
    broken = Subject("broken", "nowhere:work")
    case = Case("tiny", "few", (broken, OURS), size=20, burst=7, database="sqlite")
    told: list[str] = []
    result = measure(case, 2, told.append)

    assert "No module named" in result.failures[broken]
    assert ["broken", OURS.name, OURS.name] == [each.split()[-1] for each in told]


def test_work_that_was_not_done_is_no_figure() -> None:
    """A subject that leaves signals pending has failed."""
    idle = Subject("idle", "commits:autoflush", "signalbus", "instances")
    case = Case("tiny", "few", (idle,), size=20, burst=7, database="sqlite")
    result = measure(case, 1, lambda _: None)

    assert "20 signals were left pending" == result.failures[idle]


def test_command_writes_figures_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table goes to the terminal, and everything into the file."""
    monkeypatch.setattr(command, "select", lambda names: [TINY])
    monkeypatch.setattr(command.machine, "describe", lambda: {"Processor": "Abacus"})
    command.main(["--rounds=1", f"--json={tmp_path / 'figures.json'}"])
    (figures,) = json.loads((tmp_path / "figures.json").read_text())["entries"]

    assert "few (20 signals) [tiny]" in capsys.readouterr().out
    assert ("tiny", 20) == (figures["case"], figures["size"])
    assert 1 == len(figures["lines"][0]["times"])


def test_docs_are_not_written_from_small_figures() -> None:
    """They would look like the real ones."""
    with pytest.raises(SystemExit, match="2"):
        command.main(["--quick", "--write-docs"])


def ack(tag: int, *, multiple: bool = False) -> bytes:
    """Return the frame of a confirm."""
    payload = struct.pack(">HHQB", 60, 80, tag, multiple)
    return struct.pack(">BHI", 1, 1, len(payload)) + payload + b"\xce"


def test_confirms_are_counted_in_any_order_and_in_pieces() -> None:
    """A message counts once those before it are confirmed, too."""
    confirms, counts = Confirms(), []
    data = ack(2) + ack(1) + ack(5) + ack(4, multiple=True)
    for start in range(0, len(data), 7):
        confirms.feed(data[start : start + 7])
        counts.append(confirms.complete)

    assert [0, 2, 5] == sorted(set(counts))
