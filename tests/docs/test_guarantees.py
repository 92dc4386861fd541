"""Every promise of the manual has tests, and they are there."""

from __future__ import annotations

import re
import typing as t

if t.TYPE_CHECKING:
    from pathlib import Path

TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def test_tests_that_are_named_exist(root: Path, manual: t.Callable[[str], str]) -> None:
    """A promise names no test that is gone or has another name."""
    named = TEST.findall(manual("guarantees"))
    missing = [
        f"{path}::{test}"
        for path, test in named
        if f"\ndef {test}(" not in (root / path).read_text()
    ]

    assert named
    assert missing == []


def test_every_promise_names_its_tests(
    sections: t.Callable[[str], dict[str, str]],
) -> None:
    """No promise without a test that shows it, and there are nine of them."""
    promises = sections("guarantees")
    proven = [title for title, text in promises.items() if TEST.search(text)]

    assert len(promises) == 9
    assert list(promises) == proven
