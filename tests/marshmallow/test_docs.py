"""The page on schemas is a program."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "schemas.md"


def test_the_page_on_schemas_runs() -> None:
    """Its blocks, one after the other, do what their assertions say."""
    blocks = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL
    )
    names: dict[str, object] = {"__name__": "page"}
    for block in blocks:
        exec(block, names)  # noqa: S102 our own page

    assert names["sent"]
