"""What the benchmark writes into the manual."""

from __future__ import annotations

import dataclasses
import re
import typing as t
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks import docs
from benchmarks import plot
from benchmarks.report import Document

if t.TYPE_CHECKING:
    from benchmarks.report import Entry

DOCS = Path(__file__).parents[2] / "docs"

FIGURES = re.compile(r"(<!-- (\w+): written.*?-->\n).*?(<!-- \2: end -->)", re.DOTALL)


@pytest.fixture
def document(entry: Entry) -> Document:
    """Give figures of a machine, for a row of the page."""
    promised = dataclasses.replace(entry, case="flushmany-instances")
    return Document({"Processor": "Abacus, 2 beads"}, (promised,))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a copy of the page."""
    (tmp_path / "speed.md").write_text((DOCS / "speed.md").read_text())
    return tmp_path


def test_page_gets_figures_and_keeps_its_text(document: Document, folder: Path) -> None:
    """Only what is between the comments changes."""
    docs.write(document, folder)
    before, after = ((place / "speed.md").read_text() for place in (DOCS, folder))

    assert "Abacus, 2 beads" in after
    assert "100,000 /s" in after
    assert FIGURES.sub(r"\1\3", before) == FIGURES.sub(r"\1\3", after)


def test_page_has_the_figures_of_the_file(folder: Path) -> None:
    """To write the page again changes nothing."""
    (folder / "speed.json").write_text((DOCS / "speed.json").read_text())
    docs.write(Document.from_json((DOCS / "speed.json").read_text()), folder)

    for name in ("speed.md", "speed.json", "speed.svg"):
        assert (DOCS / name).read_text() == (folder / name).read_text()


def test_page_without_a_place_for_figures_is_an_error() -> None:
    """It is not overwritten."""
    with pytest.raises(ValueError, match="no place for figures"):
        docs.replaced("# Speed", "promised", "1,000,000")


def test_figures_survive_the_file(document: Document) -> None:
    """What is read is what was written."""
    assert document == Document.from_json(document.to_json())


def test_other_cases_of_the_same_machine_stay(document: Document) -> None:
    """Some cases can be measured again; the order is that of the table."""
    other = dataclasses.replace(document.entries[0], case="chores")
    newer = dataclasses.replace(document, entries=(other,))
    updated = document.updated(newer, ["chores", "flushmany-instances"])

    assert ["chores", "flushmany-instances"] == [each.case for each in updated.entries]


def test_figures_of_another_machine_go(document: Document) -> None:
    """Nobody compares what cannot be compared."""
    newer = Document({"Processor": "Pascaline"}, ())

    assert newer == document.updated(newer, ["flushmany-instances"])


def test_plot_has_a_dot_for_every_subject_and_the_legend(entry: Entry) -> None:
    """Three were measured, and three are explained."""
    root = ET.fromstring(plot.draw([entry]))  # noqa: S314 our own

    assert 3 + 3 == len(root.findall("{*}circle"))
