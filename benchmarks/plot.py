"""Draw the promised rows: signals a second, on a logarithmic scale, as SVG."""

from __future__ import annotations

import math
import typing as t
from xml.sax.saxutils import escape

from benchmarks.cases import LIMIT
from benchmarks.cases import OURS
from benchmarks.cases import THEIRS

if t.TYPE_CHECKING:
    from benchmarks.report import Entry
    from benchmarks.report import Range

#: Who is drawn, and how: its name, its color.
DRAWN = {
    LIMIT: ("the limit", "#999"),
    THEIRS: (THEIRS, "#c2571a"),
    OURS: (OURS, "#2563a8"),
}

WIDTH, LEFT, RIGHT, TOP, ROW = 720, 250, 40, 44, 34


def draw(entries: t.Sequence[Entry]) -> str:
    """Return the drawing; there is one entry at least, and each has figures."""
    rates = [line.rate for entry in entries for line in entry.lines if line.times]
    low = math.floor(math.log10(min(rate.low for rate in rates)))
    high = math.ceil(math.log10(max(rate.high for rate in rates)))
    bottom = TOP + ROW * len(entries)

    def at(value: float) -> float:
        share = (math.log10(value) - low) / (high - low)
        return round(LEFT + (WIDTH - LEFT - RIGHT) * share, 1)

    parts = [_head(bottom + 30), *_legend()]
    for exponent in range(low, high + 1):
        x = at(10.0**exponent)
        parts.append(f'<path d="M{x} {TOP}V{bottom}" stroke="#ddd"/>')
        parts.append(_text(x, bottom + 18, f"{10**exponent:,}", "middle"))
    for number, entry in enumerate(entries):
        y = TOP + ROW * (number + 0.5)
        parts.append(_text(LEFT - 14, y + 4, entry.title, "end"))
        for subject, (_, color) in DRAWN.items():
            if line := entry.line(subject):
                parts.append(_figure(line.rate, at, y, color))
    return "\n".join([*parts, "</svg>", ""])


def _head(height: float) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="sans-serif" font-size="12" fill="#333">\n'
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
    )


def _legend() -> t.Iterator[str]:
    """Name the colors, and what is drawn."""
    yield _text(14, 22, "Signals a second, log scale", "start")
    for number, (name, color) in enumerate(DRAWN.values()):
        x = LEFT + 150 * number
        yield f'<circle cx="{x}" cy="18" r="5" fill="{color}"/>'
        yield _text(x + 12, 22, name, "start")


def _figure(rate: Range, at: t.Callable[[float], float], y: float, color: str) -> str:
    """Draw the median as a dot, on a line from the least to the most."""
    return (
        f'<path d="M{at(rate.low)} {y}H{at(rate.high)}" stroke="{color}"'
        ' stroke-width="2"/>'
        f'<circle cx="{at(rate.median)}" cy="{y}" r="5" fill="{color}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
