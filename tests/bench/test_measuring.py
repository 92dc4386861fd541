"""Choosing cases, and measuring them in processes of their own."""

from __future__ import annotations

import dataclasses
import importlib
import json
import struct
import typing as t

import pytest

from benchmarks import __main__ as command
from benchmarks.__main__ import select
from benchmarks.cases import CASES
from benchmarks.cases import database
from benchmarks.cases.rabbitmq import Confirms
from benchmarks.runner import measure
from benchmarks.spec import OURS
from benchmarks.spec import Case
from benchmarks.spec import Subject

if t.TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.spec import Job
    from benchmarks.spec import Steps

TINY = Case("tiny", "few", [database.ROWS], size=20, burst=7, database="sqlite")


def fail(_: Job) -> Steps:
    """Fail before any work."""
    raise LookupError("nothing to do")


def test_names_of_cases_are_unique() -> None:
    """Each can be chosen."""
    assert len(CASES) == len({case.name for case in CASES})


@pytest.mark.parametrize("subject", [each for case in CASES for each in case.subjects])
def test_work_of_every_subject_exists(subject: Subject) -> None:
    """A worker finds the function by its name."""
    module = importlib.import_module(subject.work.__module__)

    assert subject.work is getattr(module, subject.work.__name__)


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
    figures = measure(TINY, 2)[OURS]

    assert "" == figures["failure"]
    for name in ("µs", "CPU µs", "MiB"):
        assert 2 == len(figures[name])
        assert all(figure > 0 for figure in figures[name])


def test_subject_that_fails_does_not_stop_the_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is not tried again, and its last words are kept."""
    both = [Subject("broken", fail), database.ROWS]
    figures = measure(dataclasses.replace(TINY, subjects=both), 2)
    told = capsys.readouterr().err.splitlines()

    assert "LookupError: nothing to do" == figures["broken"]["failure"]
    assert ["broken", OURS, OURS] == [each.split()[-1] for each in told]


def test_work_that_was_not_done_is_no_figure() -> None:
    """A subject that leaves signals pending has failed."""
    idle = Subject("idle", database.inline)
    figures = measure(dataclasses.replace(TINY, subjects=[idle]), 1)

    assert "20 signals were left pending" == figures["idle"]["failure"]


def test_command_writes_figures_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table goes to the terminal, and everything into the file."""
    monkeypatch.setattr(command, "select", lambda names: [TINY])
    monkeypatch.setattr(command.machine, "describe", lambda: {"Processor": "Abacus"})
    command.main(["--rounds=1", f"--json={tmp_path / 'figures.json'}"])
    figures = json.loads((tmp_path / "figures.json").read_text())["figures"]
    told = capsys.readouterr().out

    assert "| tiny" in told
    assert "Processor: Abacus" in told
    assert 1 == len(figures["tiny"][OURS]["µs"])


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
