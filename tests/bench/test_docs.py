"""What the benchmark writes into the manual."""

from __future__ import annotations

import dataclasses
import typing as t
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks import docs
from benchmarks import plot
from benchmarks.document import Document

if t.TYPE_CHECKING:
    from benchmarks.report import Entry

PAGE = Path(__file__).parents[2] / "docs" / "speed.md"

#: A thousand signals in the first second, half as many in the second.
SERIES = [(0.0, 0, 70.0), (1.0, 1000, 71.0), (2.0, 1500, 71.0)]


@pytest.fixture
def document(entry: Entry) -> Document:
    """Give figures of a machine."""
    return Document({"Processor": "Abacus, 2 beads"}, (entry,))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder with a copy of the page."""
    (tmp_path / "speed.md").write_text(PAGE.read_text())
    return tmp_path


def test_page_gets_figures_and_keeps_its_text(document: Document, folder: Path) -> None:
    """Only what is between the two lines changes."""
    docs.write(document, folder)
    written = (folder / "speed.md").read_text()
    before, after = (
        PAGE.read_text().partition(docs.BEGIN)[0],
        PAGE.read_text().partition(docs.END)[2],
    )

    assert "Abacus, 2 beads" in written
    assert written.startswith(before)
    assert written.endswith(after)


def test_page_without_a_place_for_figures_is_an_error() -> None:
    """It is not overwritten."""
    with pytest.raises(ValueError, match="no place for figures"):
        docs.replaced("# Speed", "1,000,000")


def test_figures_survive_the_file(document: Document) -> None:
    """What is read is what was written."""
    assert document == Document.from_json(document.to_json())


def test_other_cases_of_the_same_machine_stay(document: Document) -> None:
    """Some cases can be measured again; the order is that of the table."""
    other = dataclasses.replace(document.entries[0], case="chores")
    newer = dataclasses.replace(document, entries=(other,))
    updated = document.updated(newer, ["chores", "errands"])

    assert ["chores", "errands"] == [each.case for each in updated.entries]


def test_figures_of_another_machine_go(document: Document) -> None:
    """Nobody compares what cannot be compared."""
    newer = Document({"Processor": "Pascaline"}, ())

    assert newer == document.updated(newer, ["errands"])


def test_plot_is_written_for_the_drawn_case(document: Document, folder: Path) -> None:
    """The page shows it."""
    (entry,) = document.entries
    line = dataclasses.replace(entry.lines[0], facts={"series": SERIES})
    drawn = dataclasses.replace(entry, case=docs.DRAWN, lines=(line,))
    docs.write(dataclasses.replace(document, entries=(drawn,)), folder)

    assert "(speed.svg)" in (folder / "speed.md").read_text()
    assert ET.fromstring((folder / "speed.svg").read_text()).tag.endswith("svg")  # noqa: S314 our own


def test_speed_is_that_between_two_samples() -> None:
    """It is drawn where it was reached."""
    assert [(1.0, 1000.0), (2.0, 500.0)] == plot.rates(SERIES)


@pytest.mark.parametrize(("value", "top"), [(0, 1), (7, 8), (1500, 2000), (80, 80)])
def test_axis_ends_at_a_round_number(value: float, top: float) -> None:
    """It has room for every value."""
    assert top == plot.Axis.over([value], 0, 100).top
