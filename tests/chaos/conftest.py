"""What the tests of the chaos suite have in common."""

from __future__ import annotations

import os
import sys
import tempfile
import typing as t
from pathlib import Path

import pytest

for _name in ("pika", "psycopg", "pymysql", "signalbus_cli", "signalbus_relay"):
    pytest.importorskip(_name, reason=f"{_name} is not installed")

ROOT = Path(__file__).parents[2]

#: Limits of time are promises on a machine that is not busy, and this one is.
PATIENCE = 4.0

sys.path.append(str(ROOT))  # the suite is installed nowhere

from chaos.books import Books  # noqa: E402 needs the path
from chaos.books import Entry  # noqa: E402
from chaos.ledger import Arrival  # noqa: E402
from chaos.scenario import SCENARIOS  # noqa: E402
from chaos.servers import Unavailable  # noqa: E402
from chaos.venue import Venue  # noqa: E402

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from chaos.run import Result
    from chaos.scenario import Scenario


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes ``scenario`` for each of the module ``FAULTS``."""
    if "scenario" in metafunc.fixturenames:
        mine = [
            each
            for each in SCENARIOS.values()
            if each.fault.__module__ == metafunc.module.FAULTS
        ]
        metafunc.parametrize("scenario", mine, ids=[each.name for each in mine])


@pytest.fixture(scope="module")
def venue() -> Iterator[Venue]:
    """Give private servers, which start when they are needed.

    They may run as another user, who cannot reach what pytest keeps for this one.
    """
    with tempfile.TemporaryDirectory(prefix="signalbus-chaos-") as home:
        venue = Venue(Path(home))
        yield venue
        venue.close()


@pytest.fixture
def briefly(venue: Venue) -> t.Callable[[Scenario], Result]:
    """Run a scenario for a moment with ``briefly(scenario)``."""
    import dataclasses

    from chaos.run import run

    def run_briefly(scenario: Scenario) -> Result:
        longest = min(2.0, scenario.hold[1])
        hold = (min(scenario.hold[0], longest), longest)
        rate = min(scenario.rate, 8.0)  # other tests run beside it
        brief = dataclasses.replace(scenario, hold=hold, rate=rate)
        try:
            return run(brief, 1.0, 1, venue, patience=PATIENCE)
        except Unavailable as error:
            (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))

    return run_briefly


@pytest.fixture
def books() -> t.Callable[..., Books]:
    """Make books of signals that were committed, such as ``books("a", "b")``.

    What is *ordered* has the key ``k``, in that order.
    """

    def make(*numbers: str, ordered: t.Sequence[str] = (), **others: t.Any) -> Books:
        entries = {number: Entry("Posted", None, 0) for number in numbers}
        for position, number in enumerate(ordered):
            entries[number] = Entry("Ordered", "k", position)
        nothing: dict[str, t.Any] = {
            "confirmed": set(),
            "pending": set(),
            "parked": set(),
            "orphans": 0,
        }
        return Books(entries, **{**nothing, **others})

    return make


@pytest.fixture
def arrivals() -> t.Callable[..., list[Arrival]]:
    """Make arrivals of signals with these numbers, in this order."""
    return lambda *numbers: [Arrival("Posted", number, 0.0, 0.0) for number in numbers]
