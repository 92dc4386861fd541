"""The figures as a table: aligned text for a terminal, Markdown for the manual."""

from __future__ import annotations

import typing as t

from benchmarks.cases import LIMIT
from benchmarks.cases import OURS
from benchmarks.cases import THEIRS

if t.TYPE_CHECKING:
    from benchmarks.cases import Case
    from benchmarks.goals import Verdict
    from benchmarks.report import Entry
    from benchmarks.report import Line
    from benchmarks.report import Range

HEAD = ("", "signals/s", "µs/signal", "least", "most", "CPU µs", "MiB", OURS)
COLUMNS = ("", "signalbus", "Flask-SignalBus", "the limit", "goal")


def as_text(entries: t.Iterable[Entry]) -> str:
    """Return all figures for a terminal; the last column is ours against the others."""
    rows: list[tuple[str, ...]] = [HEAD]
    for entry in entries:
        rows.append((f"{_heading(entry)} [{entry.case}]",))
        rows += [_text_row(line, entry.line(OURS)) for line in entry.lines]
    return _aligned(rows)


def goals_as_text(verdicts: t.Iterable[Verdict]) -> str:
    """Return a line for each goal."""
    return "\n".join(f"{each.word:10} {each.case}: {goal(each)}" for each in verdicts)


def as_markdown(
    cases: t.Iterable[Case],
    entries: t.Iterable[Entry],
    verdicts: t.Iterable[Verdict],
) -> str:
    """Return a row for each of *cases* that has figures, for the manual."""
    measured = {entry.case: entry for entry in entries if entry.line(OURS)}
    told = {each.case: f"{goal(each)}: **{each.word}**" for each in verdicts}
    rows = [COLUMNS, ("---", *["--:"] * (len(COLUMNS) - 2), "---")]
    rows += [
        (case.title, *_cells(case, measured[case.name]), told.get(case.name, ""))
        for case in cases
        if case.name in measured
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def goal(verdict: Verdict) -> str:
    """Say what was promised, and what is."""
    promised = f"{verdict.goal.times:.3g} times {verdict.goal.title}"
    return f"at least {promised}; is {_told(verdict.reached, _ratio)}"


def _cells(case: Case, entry: Entry) -> list[str]:
    """Return the figures of ours, the predecessor and the first limit."""
    lines = [entry.line(subject) for subject in (OURS, THEIRS, LIMIT)]
    unit = "µs" if case.in_time else "/s"
    figures = [
        (line.time if case.in_time else line.rate) if line else None for line in lines
    ]
    return [_told(each, number, unit) if each else "" for each in figures]


def _told(figure: Range, write: t.Callable[[float], str], unit: str = "") -> str:
    """Say a median, its range, and whether that is too wide to rely on."""
    low, high = write(figure.low), write(figure.high)
    told = f"{write(figure.median)} ({low}-{high})" if low != high else low
    doubt = ", uncertain" if figure.is_uncertain else ""
    return f"{told} {unit}".rstrip() + doubt


def _text_row(line: Line, ours: Line | None) -> tuple[str, ...]:
    if line.failure is not None:
        return (f"  {line.subject}: failed: {line.failure}",)
    time = line.time
    return (
        f"  {line.subject}",
        number(line.rate.median),
        *map(number, (time.median, time.low, time.high, line.cpu)),
        f"{line.memory:.0f} (+{line.growth:.0f})",
        f"x {ours.ratio(line).median:.2f}" if ours and ours is not line else "",
    )


def _heading(entry: Entry) -> str:
    if entry.skipped:
        return f"{entry.title}: skipped, {entry.skipped}"
    return f"{entry.title} ({entry.size:,} signals)"


def number(value: float) -> str:
    """Return a figure with three digits that count."""
    value = float(f"{value:.3g}")
    if abs(value) >= 100:  # noqa: PLR2004 three digits
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"  # noqa: PLR2004 dito


def _ratio(value: float) -> str:
    return f"{value:.2f}"


def _aligned(rows: t.Sequence[tuple[str, ...]]) -> str:
    full = [row for row in rows if len(row) > 1]
    widths = [max(map(len, column)) for column in zip(*full, strict=True)]
    return "\n".join(_padded(row, widths) for row in rows)


def _padded(row: tuple[str, ...], widths: t.Sequence[int]) -> str:
    first, *others = row
    cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=False)]
    return "  ".join([first.ljust(widths[0]), *cells]).rstrip()
