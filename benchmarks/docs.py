"""Write what the manual shows: the data, the table in the page, and the plot."""

from __future__ import annotations

import typing as t
from pathlib import Path

from benchmarks import plot
from benchmarks import table
from benchmarks.catalogue import CASES
from benchmarks.document import Document
from benchmarks.goals import verdicts

if t.TYPE_CHECKING:
    from benchmarks.report import Entry

FOLDER = Path(__file__).parents[1] / "docs"

#: Between these lines of the page, everything is written here.
BEGIN = "<!-- figures: begin (written by hatch run bench --write-docs) -->"
END = "<!-- figures: end -->"

#: The case that is drawn.
DRAWN = "million"


def write(newer: Document, folder: Path = FOLDER) -> None:
    """Write *newer* figures; those of other cases stay, if the machine is the same.

    :param folder: the folder of ``speed.md``, ``speed.json`` and ``speed.svg``.
    """
    document = _merged(folder / "speed.json", newer)
    (folder / "speed.json").write_text(document.to_json())
    series = _series(document.entries)
    if series:
        (folder / "speed.svg").write_text(plot.draw(series))
    page = folder / "speed.md"
    page.write_text(replaced(page.read_text(), _figures(document, bool(series))))


def replaced(page: str, figures: str) -> str:
    """Return *page* with other *figures* between the two lines.

    :raises ValueError: if the page lacks one of the lines.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"The page has no place for figures. Add {BEGIN} and {END}.")
    return f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}"


def _merged(data: Path, newer: Document) -> Document:
    if not data.exists():
        return newer
    older = Document.from_json(data.read_text())
    return older.updated(newer, [case.name for case in CASES])


def _figures(document: Document, is_drawn: bool) -> str:
    drawing = ["![Speed and memory of a relay over time](speed.svg)"]
    return "\n\n".join(
        [
            "### The goals",
            table.goals_as_markdown(verdicts(CASES, document.entries)),
            "### All figures",
            table.as_markdown(document.entries),
            *(["### A million signals", *drawing] if is_drawn else []),
            "### The machine",
            _machine(document),
        ]
    )


def _machine(document: Document) -> str:
    dates = sorted({entry.date for entry in document.entries})
    facts = {**document.machine, "Measured": " to ".join({dates[0]: 0, dates[-1]: 0})}
    return "\n".join(f"- {name}: {value}" for name, value in facts.items())


def _series(entries: t.Iterable[Entry]) -> t.Sequence[plot.Sample]:
    for entry in entries:
        if entry.case == DRAWN and entry.lines:
            return t.cast(
                "t.Sequence[plot.Sample]", entry.lines[0].facts.get("series", [])
            )
    return []
