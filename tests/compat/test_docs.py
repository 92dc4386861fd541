"""What the guide for moving says about names is true."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
import sqlalchemy as sa

GUIDE = (Path(__file__).parents[2] / "docs" / "moving.md").read_text()
FROM_IMPORTS = re.findall(r"`from ((?:flask_)?signalbus[\w.]*) import (\w+)`", GUIDE)
OLD_MODULES = sorted({old for old, _ in FROM_IMPORTS if old.startswith("flask_")})
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


@pytest.mark.parametrize(
    "name", re.findall(r"^\| `(\w+_\w+)` \| ", GUIDE, re.MULTILINE)
)
def test_a_name_that_the_guide_calls_gone_is_gone(name: str) -> None:
    """Neither the new package nor the old names have it."""
    for module in ("signalbus", "signalbus_atomic", *OLD_MODULES):
        assert not hasattr(importlib.import_module(module), name)
    assert not hasattr(importlib.import_module("signalbus").SignalBus, name)


def test_the_guide_says_what_is_gone() -> None:
    """What the old library exported, and nobody will find."""
    section = GUIDE.partition("These names are gone")[2].partition("###")[0]

    assert {"get_db_error_code", "signal_session"} <= set(re.findall(r"\w+", section))


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_database_url_of_the_guide_names_its_driver(driver: str) -> None:
    """Whatever SQLAlchemy takes for PostgreSQL's driver if nobody says."""
    (url,) = re.findall(rf"`(postgresql\+{driver}://\S+)`", GUIDE)

    assert driver == sa.make_url(url).get_driver_name()


def test_links_within_the_guide_lead_somewhere() -> None:
    """A link to a section has a heading of that name."""
    headings = re.findall(r"^#+ (.*)$", GUIDE, re.MULTILINE)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}

    assert set(re.findall(r"\(#([^)]+)\)", GUIDE)) <= anchors
