"""What the benchmark writes into the manual."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest

from benchmarks import figures

if t.TYPE_CHECKING:
    from benchmarks.figures import Document

DOCS = Path(__file__).parents[2] / "docs"

FIGURES = re.compile(r"(<!-- (\w+): written.*?-->\n).*?(<!-- \2: end -->)", re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a copy of the page."""
    (tmp_path / "speed.md").write_text((DOCS / "speed.md").read_text())
    return tmp_path


def test_page_gets_figures_and_keeps_its_text(document: Document, folder: Path) -> None:
    """Only what is between the comments changes."""
    figures.write_docs(document, folder)
    before, after = ((place / "speed.md").read_text() for place in (DOCS, folder))

    assert "Abacus, 2 beads" in after
    assert "100,000 /s" in after
    assert FIGURES.sub(r"\1\3", before) == FIGURES.sub(r"\1\3", after)


def test_page_has_the_figures_of_the_file(folder: Path) -> None:
    """To write the page again changes nothing."""
    (folder / "speed.json").write_text((DOCS / "speed.json").read_text())
    figures.write_docs(json.loads((DOCS / "speed.json").read_text()), folder)

    for name in ("speed.md", "speed.json"):
        assert (DOCS / name).read_text() == (folder / name).read_text()


def test_page_without_a_place_for_figures_is_an_error(
    document: Document, folder: Path
) -> None:
    """It is not overwritten."""
    (folder / "speed.md").write_text("# Speed")
    with pytest.raises(ValueError, match="no place for figures"):
        figures.write_docs(document, folder)

    assert "# Speed" == (folder / "speed.md").read_text()


def test_figures_survive_the_file(document: Document, folder: Path) -> None:
    """What is read is what was written."""
    figures.write_docs(document, folder)

    assert document == json.loads((folder / "speed.json").read_text())


def test_other_cases_of_the_same_machine_stay(document: Document, folder: Path) -> None:
    """Some cases can be measured again; the order is that of the table."""
    (measured,) = document["figures"].values()
    figures.write_docs(document, folder)
    figures.write_docs(
        {**document, "figures": {"flushmany-rows": measured}, "measured": {}}, folder
    )
    page = (folder / "speed.md").read_text()

    assert 0 < page.index("| bursts of 1000, rows") < page.index("1000, instances")


def test_figures_of_another_machine_go(document: Document, folder: Path) -> None:
    """Nobody compares what cannot be compared."""
    newer = {**document, "machine": {"Processor": "Pascaline"}, "figures": {}}
    figures.write_docs(document, folder)
    figures.write_docs(newer, folder)

    assert newer == json.loads((folder / "speed.json").read_text())
