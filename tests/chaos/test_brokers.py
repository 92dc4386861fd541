"""Whatever happens to the broker, promises are kept: each scenario, for a moment."""

from __future__ import annotations

import typing as t

from chaos.scenarios import brokers as scenarios

if t.TYPE_CHECKING:
    from chaos.run import Result
    from chaos.scenario import Scenario

#: Whose scenarios are run.
FAULTS = scenarios.__name__


def test_promises_are_kept(
    briefly: t.Callable[[Scenario], Result], scenario: Scenario
) -> None:
    """Nothing is lost, nothing is made up, and signals flow again by themselves."""
    result = briefly(scenario)

    assert [] == result.failures, result
