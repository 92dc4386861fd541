"""The distributions that pages show are those that other tests install."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[1] / "plugins"

FILE = re.compile(
    r"^<!-- file: (\S+) -->\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE
)


@pytest.mark.parametrize(
    ("name", "folder"),
    [("plugins", "signalbus-filebroker"), ("brokers", "signalbus-postbox")],
)
def test_a_page_ends_with_the_files_that_are_tested(
    manual: t.Callable[[str], str], name: str, folder: str
) -> None:
    """Each file of the folder is on the page; of several versions, it is the last."""
    shown = dict(FILE.findall(manual(name)))
    tested = {
        path.name: path.read_text()
        for pattern in ("*.py", "*.toml", "*.md")
        for path in (PLUGINS / folder).glob(pattern)
    }

    assert tested
    assert tested == {file: shown.get(file) for file in tested}
