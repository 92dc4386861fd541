"""The results of a run: a line each while it goes on, a table, JSON, and the manual."""

from __future__ import annotations

import dataclasses
import json
import typing as t
from pathlib import Path

from tabulate import tabulate

if t.TYPE_CHECKING:
    from chaos.run import Result

PAGE = Path(__file__).parents[1] / "docs" / "chaos.md"

HEAD = (
    "scenario",
    "faults",
    "recorded",
    "delivered",
    "parked",
    "lost",
    "phantom",
    "twice (allowed)",
    "out of order",
    "flows after",
    "all sent after",
    "",
)


@dataclasses.dataclass(frozen=True)
class Row:
    """What became of a scenario, with all seeds taken together."""

    name: str
    title: str
    results: t.Sequence[Result]

    def cells(self) -> list[object]:
        """Return the row of the table."""
        failures = [each for result in self.results for each in result.failures]
        return [
            self.name,
            *(
                self._sum(each)
                for each in ("faults", "recorded", "delivered", "parked")
            ),
            self._sum("lost") + self._sum("forgotten"),
            self._sum("phantom"),
            f"{self._sum('duplicates'):,} ({self._sum('allowed'):,})",
            self._sum("disordered"),
            self._longest("resumed"),
            self._longest("caught_up"),
            "; ".join(failures) or "kept",
        ]

    def _longest(self, name: str) -> str:
        return f"{max(getattr(each.verdict, name) for each in self.results):.1f} s"

    def _sum(self, name: str) -> int:
        return sum(getattr(each.verdict, name) for each in self.results)


def rows(results: t.Iterable[Result]) -> list[Row]:
    """Return a row for each scenario, in the order in which they ran first."""
    by_name: dict[str, list[Result]] = {}
    for result in results:
        by_name.setdefault(result.scenario, []).append(result)
    return [Row(name, same[0].title, same) for name, same in by_name.items()]


def table(results: t.Iterable[Result]) -> str:
    """Return the table of all results, in Markdown."""
    cells = [row.cells() for row in rows(results)]
    return tabulate(cells, HEAD, "pipe", intfmt=",")


def line(result: Result) -> str:
    """Return what is printed when a scenario has ended."""
    verdict = result.verdict
    return (
        f"{result.scenario} (seed {result.seed}, {result.seconds:.0f} s):"
        f" {verdict.faults} faults, {verdict.recorded:,} recorded, {verdict.lost} lost,"
        f" {verdict.phantom} phantom, {verdict.duplicates} twice"
        f" (allowed: {verdict.allowed}), flows after {verdict.resumed:.1f} s,"
        f" all sent after {verdict.caught_up:.1f} s:"
        f" {'; '.join(result.failures) or 'kept'}"
    )


def write_json(results: t.Iterable[Result], path: Path) -> None:
    """Write all results to a file, as a list of objects."""
    document = [dataclasses.asdict(result) for result in results]
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def write_docs(
    results: t.Sequence[Result], command: str, facts: t.Mapping[str, str]
) -> None:
    """Write the table, and the command that made it, into the manual.

    :raises ValueError: if the page has no place for them.
    """
    begin, end = "<!-- written by hatch run chaos -->", "<!-- end -->"
    text = PAGE.read_text(encoding="utf-8")
    if begin not in text or end not in text:
        raise ValueError(f"{PAGE} has no place for the table. Add {begin} and {end}.")
    before, after = text.partition(begin)[0], text.partition(end)[2]
    machine = "  \n".join(f"{name}: {fact}." for name, fact in facts.items())
    part = f"```text\n{command}\n```\n\n{table(results)}\n\n{machine}"
    PAGE.write_text(f"{before}{begin}\n\n{part}\n\n{end}{after}", encoding="utf-8")
