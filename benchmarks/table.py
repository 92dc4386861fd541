"""The figures as a table: aligned text for a terminal, Markdown for the manual."""

from __future__ import annotations

import typing as t

from benchmarks.cases import THEIRS
from benchmarks.report import LIMIT

if t.TYPE_CHECKING:
    from benchmarks.goals import Verdict
    from benchmarks.report import Entry
    from benchmarks.report import Line

HEAD = (
    "signals/s",
    "µs/signal",
    "±",
    "CPU µs",
    "of the limit",
    f"of {THEIRS}",
    "MiB",
)


def as_text(entries: t.Iterable[Entry]) -> str:
    """Return the figures for a terminal."""
    rows: list[tuple[str, ...]] = [("", *HEAD)]
    for entry in entries:
        rows.append((f"{_heading(entry)} [{entry.case}]",))
        rows += [_text_row(line) for line in entry.lines]
    return _aligned(rows)


def as_markdown(entries: t.Iterable[Entry]) -> str:
    """Return the figures for the manual."""
    rows: list[tuple[str, ...]] = [("", *HEAD), ("---", *["--:"] * len(HEAD))]
    for entry in entries:
        rows.append((f"**{_heading(entry)}**", *[""] * len(HEAD)))
        rows += [(line.subject, *_cells(line)) for line in entry.lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def goals_as_text(verdicts: t.Iterable[Verdict]) -> str:
    """Return a line for each goal."""
    return "\n".join(
        f"{_judged(each):10}  {each.case}: {each.promise}; is {each.reached:.2f}"
        for each in verdicts
    )


def goals_as_markdown(verdicts: t.Iterable[Verdict]) -> str:
    """Return a table of the goals."""
    rows = [("", "shall be", "is", ""), ("---", "---", "--:", "---")]
    rows += [
        (each.title, each.promise, f"{each.reached:.2f}", _judged(each))
        for each in verdicts
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _judged(verdict: Verdict) -> str:
    return "kept" if verdict.kept else "**missed**"


def _text_row(line: Line) -> tuple[str, ...]:
    if line.failure is not None:
        return (f"  {line.subject}: failed: {line.failure}",)
    return (f"  {line.subject}", *_cells(line))


def _heading(entry: Entry) -> str:
    if entry.skipped:
        return f"{entry.title}: skipped, {entry.skipped}"
    return f"{entry.title} ({entry.size:,} signals)"


def _cells(line: Line) -> tuple[str, ...]:
    if line.failure is not None:
        return ("failed", *[""] * (len(HEAD) - 1))
    return (
        _number(line.rate),
        _number(line.time),
        "" if line.spread is None else f"{line.spread:.0%}",
        _number(line.cpu),
        _times(line.ratios.get(LIMIT)),
        _times(line.ratios.get(THEIRS)),
        _memory(line),
    )


def _memory(line: Line) -> str:
    return f"{line.memory or 0:.0f} (+{line.growth or 0:.0f})"


def _number(value: float | None) -> str:
    """Return a figure with three digits that count."""
    if value is None:
        return ""
    if abs(value) >= 100:  # noqa: PLR2004 three digits
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"  # noqa: PLR2004 dito


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _aligned(rows: t.Sequence[tuple[str, ...]]) -> str:
    full = [row for row in rows if len(row) > 1]
    widths = [max(map(len, column)) for column in zip(*full, strict=True)]
    return "\n".join(_padded(row, widths) for row in rows)


def _padded(row: tuple[str, ...], widths: t.Sequence[int]) -> str:
    first, *others = row
    cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=False)]
    return "  ".join([first.ljust(widths[0]), *cells]).rstrip()
