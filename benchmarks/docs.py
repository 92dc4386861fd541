"""Write what the manual shows: the data, the tables in the page, and the plot."""

from __future__ import annotations

import typing as t
from pathlib import Path

from benchmarks import plot
from benchmarks import table
from benchmarks.cases import OURS
from benchmarks.catalogue import CASES
from benchmarks.catalogue import PROMISED
from benchmarks.goals import verdicts
from benchmarks.report import Document

FOLDER = Path(__file__).parents[1] / "docs"


def write(newer: Document, folder: Path = FOLDER) -> None:
    """Write *newer* figures; those of other cases stay, if the machine is the same.

    :param folder: the folder of ``speed.md``, ``speed.json`` and ``speed.svg``.
    """
    document = _merged(folder / "speed.json", newer)
    (folder / "speed.json").write_text(document.to_json())
    page = (folder / "speed.md").read_text()
    for name, figures in _parts(document).items():
        page = replaced(page, name, figures)
    (folder / "speed.md").write_text(page)
    promised = {case.name for case in PROMISED}
    drawn = [e for e in document.entries if e.case in promised and e.line(OURS)]
    if drawn:
        (folder / "speed.svg").write_text(plot.draw(drawn))


def replaced(page: str, name: str, figures: str) -> str:
    """Return *page* with other *figures* between the two comments with *name*.

    :raises ValueError: if the page lacks one of the comments.
    """
    begin, end = f"<!-- {name}: written by hatch run bench -->", f"<!-- {name}: end -->"
    before, found, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found and found_end):
        raise ValueError(f"The page has no place for figures. Add {begin} and {end}.")
    return f"{before}{begin}\n\n{figures}\n\n{end}{after}"


def _merged(data: Path, newer: Document) -> Document:
    if not data.exists():
        return newer
    older = Document.from_json(data.read_text())
    return older.updated(newer, [case.name for case in CASES])


def _parts(document: Document) -> dict[str, str]:
    """Return the parts of the page that are written here, by their names."""
    entries = document.entries
    judged = verdicts(CASES, entries)
    others = [case for case in CASES if case not in PROMISED]
    return {
        "promised": table.as_markdown(PROMISED, entries, judged),
        "others": table.as_markdown(others, entries, judged),
        "machine": _machine(document),
    }


def _machine(document: Document) -> str:
    lines = [line for entry in document.entries for line in entry.lines]
    facts = {
        **document.machine,
        "Rounds": _span(len(line.times) for line in lines if line.times),
        "Measured": _span(entry.date for entry in document.entries),
    }
    return "\n".join(f"{name}: {value}.  " for name, value in facts.items()).rstrip()


def _span(values: t.Iterable[t.Any]) -> str:
    """Say the least and the most of *values*, once if they are the same."""
    ordered = sorted(set(values))
    return " to ".join(map(str, ordered[:1] + ordered[1:][-1:]))
