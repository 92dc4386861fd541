"""The suite finds out when a safeguard is missing: each is taken out, one at a time."""

from __future__ import annotations

import os
import types
import typing as t

import pytest

import chaos.scenarios  # noqa: F401 registers them
from chaos import without
from chaos.run import run
from chaos.scenario import SCENARIOS
from chaos.servers import Unavailable

if t.TYPE_CHECKING:
    from chaos.venue import Venue

#: For each safeguard, a scenario that finds out, and what the verdict says then.
CAUGHT = {
    "row-lock": ("slow-broker", "duplicates, allowed: 0"),
    "confirm": ("queue-overflows", "lost"),
    "rollback": ("rabbitmq-killed-one-by-one", "lost"),
    "savepoints": ("autoflush-alone", "pending at the end"),
    "key-lock": ("slow-broker", "disordered"),
    "settlement": ("killed-when-settled", "orphans"),
}

#: How long faults happen, in seconds: those of some scenarios are few and certain.
SECONDS = {"killed-when-settled": 8.0}

#: How often a scenario is run, with other seeds, until it finds out.
TRIES = 3


@pytest.mark.parametrize("safeguard", without.SAFEGUARDS)
def test_a_missing_safeguard_is_found_out(venue: Venue, safeguard: str) -> None:
    """A scenario fails, for the reason that users would see."""
    name, reason = CAUGHT[safeguard]
    verdicts = _verdicts(venue, name, safeguard)

    assert any(reason in failure for verdict in verdicts for failure in verdict)


def test_a_safeguard_that_has_moved_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is to be taken out is named, so that nobody believes it was."""
    monkeypatch.delattr(without.LockingStatements, "_locking")

    with pytest.raises(AttributeError, match="LockingStatements has no _locking"):
        without.remove(["row-lock"], t.cast("t.Any", types.SimpleNamespace()))


def test_an_unknown_safeguard_is_an_error() -> None:
    """A typo takes nothing out unnoticed."""
    with pytest.raises(LookupError, match="There is no safeguard 'belt'"):
        without.remove(["belt"], t.cast("t.Any", types.SimpleNamespace()))


def _verdicts(venue: Venue, name: str, safeguard: str) -> t.Iterator[list[str]]:
    """Run a scenario without a safeguard, and again if it should be asked for more."""
    scenario, seconds = SCENARIOS[name].without(safeguard), SECONDS.get(name, 1.0)
    for seed in range(TRIES):
        try:
            yield run(scenario, seconds, seed, venue).failures
        except Unavailable as error:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))
