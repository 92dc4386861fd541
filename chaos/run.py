"""Run a scenario: faults, one after the other, while signals are recorded and sent."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import typing as t

from chaos.cast import ProgramError
from chaos.stage import Stage
from chaos.verdict import Fault
from chaos.verdict import Verdict
from chaos.verdict import judge

if t.TYPE_CHECKING:
    from chaos.scenario import Scenario
    from chaos.venue import Venue

#: The time between two faults: at least and at most, in seconds.
PEACE = (0.3, 1.0)


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of a scenario.

    :ivar seconds: how long it took, in all.
    :ivar failures: what breaks a promise; nothing, if all is well.
    """

    scenario: str
    title: str
    seed: int
    seconds: float
    verdict: Verdict
    failures: list[str]


def run(
    scenario: Scenario, seconds: float, seed: int, venue: Venue, patience: float = 1.0
) -> Result:
    """Run *scenario*, with faults for so many seconds, and at least one.

    :param patience: by what the limits of time are multiplied, on a busy machine.
    :raises Unavailable: if a server that it needs is not installed.
    """
    begin = time.monotonic()
    failures: list[str] = []
    faults: list[Fault] = []
    stage = Stage(scenario, seed, venue)
    with contextlib.closing(stage):
        try:
            stage.start()
            faults.extend(_faults(scenario, seconds, stage))
            stage.drain()
            stage.end()
        except ProgramError as error:
            failures.append(str(error))
        stage.read_to_the_end()
        verdict = judge(
            stage.bookkeeper.read(),
            stage.arrivals(),
            allowed=stage.allowed,
            faults=faults,
        )
    took = time.monotonic() - begin
    failures += verdict.failures(patience)
    return Result(scenario.name, scenario.title, seed, took, verdict, failures)


def _faults(scenario: Scenario, seconds: float, stage: Stage) -> t.Iterator[Fault]:
    """Make faults, and yield how each was recovered from."""
    fault = contextlib.contextmanager(scenario.fault)
    end = time.monotonic() + seconds
    while True:
        stage.pause(stage.random.uniform(*PEACE))
        began = time.time()
        with fault(stage):
            stage.pause(stage.random.uniform(*scenario.hold))
            resumed = stage.wait_for_flow() if scenario.flows_on else 0.0
        ended = time.time()
        resumed = max(resumed, stage.wait_for_flow())
        stage.wait_for_backlog()
        yield Fault(began, ended, resumed, time.time() - ended)
        if time.monotonic() >= end:
            return
