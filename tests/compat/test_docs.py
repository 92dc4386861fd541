"""What the guide for moving says about names is true."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

GUIDE = (Path(__file__).parents[2] / "docs" / "moving.md").read_text()
FROM_IMPORTS = re.findall(r"`from ((?:flask_)?signalbus[\w.]*) import (\w+)`", GUIDE)
IMPORTS = sorted(set(re.findall(r"`import (signalbus\w*) as rabbitmq`", GUIDE)))


@pytest.mark.parametrize(("module", "name"), FROM_IMPORTS)
def test_an_import_of_the_guide_works(module: str, name: str) -> None:
    """The old imports and the new ones."""
    exec(f"from {module} import {name}", {})  # noqa: S102 our own page


@pytest.mark.parametrize("module", IMPORTS)
def test_a_module_of_the_guide_is_there(module: str) -> None:
    """What is imported whole."""
    assert importlib.import_module(module).__all__


def test_the_guide_names_imports() -> None:
    """The patterns above find something."""
    assert len(FROM_IMPORTS) > 10
    assert IMPORTS


def test_links_within_the_guide_lead_somewhere() -> None:
    """A link to a section has a heading of that name."""
    headings = re.findall(r"^#+ (.*)$", GUIDE, re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}

    assert set(re.findall(r"\(#([^)]+)\)", GUIDE)) <= anchors
