"""The programs of a scenario: where they die, and where they may not."""

from __future__ import annotations

import random
import sys
import typing as t

import pytest

from chaos import points
from chaos.cast import Cast
from chaos.cast import Member
from chaos.cast import ProgramError
from chaos.cast import environment

if t.TYPE_CHECKING:
    from pathlib import Path


class ShortLived(Member):
    """A program that kills itself at once, wherever it should."""

    def _command(self) -> list[str]:
        suicide = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
        return [sys.executable, "-c", suicide]

    def tell_to_end(self) -> None:
        """Come too late."""
        if self._process is not None:
            self._process.wait()
        super().tell_to_end()


@pytest.fixture
def rng() -> random.Random:
    """Give what the points are chosen by."""
    return random.Random(1)  # noqa: S311 no secret


@pytest.fixture
def relay(tmp_path: Path) -> t.Iterator[ShortLived]:
    """Give a relay that does not live long."""
    member = ShortLived("relay", "relay", environment(CHAOS_LOG=tmp_path), [])
    yield member
    member.destroy()


def test_a_program_that_dies_and_should_not_is_an_error(
    relay: ShortLived, rng: random.Random
) -> None:
    """Something else has killed it."""
    cast = Cast([relay], rng, is_mortal=False)
    cast.start()

    with pytest.raises(ProgramError, match="relay has ended with status -9"):
        relay.wait()


@pytest.mark.parametrize("point", points.POINTS[2:])
def test_programs_die_at_the_points_of_the_scenario(
    relay: ShortLived, rng: random.Random, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    """And at no other."""
    chosen: list[object] = []
    monkeypatch.setattr(relay, "start", chosen.append)
    Cast([relay], rng, is_mortal=True, dies_at=[point]).start()

    ((at, _),) = t.cast("list[tuple[str, int]]", chosen)
    assert point == at
