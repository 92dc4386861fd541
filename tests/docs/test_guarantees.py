"""Every promise of the manual has tests, and they are there."""

from __future__ import annotations

import re
import sys
import typing as t
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))  # the suite is installed nowhere

import pytest

import chaos.scenarios  # noqa: F401 needs the path, and registers them
from chaos.scenario import SCENARIOS

TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


@pytest.mark.parametrize("about", ["guarantees", "security"])
def test_tests_that_are_named_exist(
    root: Path, manual: t.Callable[[str], str], about: str
) -> None:
    """A promise names no test that is gone or has another name."""
    named = TEST.findall(manual(about))
    missing = [
        f"{path}::{test}"
        for path, test in named
        if f"\ndef {test}(" not in (root / path).read_text()
    ]

    assert named
    assert missing == []


def test_every_scenario_shows_a_promise(manual: t.Callable[[str], str]) -> None:
    """None is named that is not there, and none is run for nothing."""
    named = {
        name
        for names in re.findall(r"`hatch run chaos ([^`]+)`", manual("guarantees"))
        for name in names.split()
    }

    assert set(SCENARIOS) == named


@pytest.mark.parametrize(("about", "count"), [("guarantees", 9), ("security", 7)])
def test_every_promise_names_its_tests(
    sections: t.Callable[[str], dict[str, str]], about: str, count: int
) -> None:
    """No promise without a test that shows it, and there are so many of them."""
    promises = sections(about)
    proven = [title for title, text in promises.items() if TEST.search(text)]

    assert len(promises) == count
    assert list(promises) == proven
