"""Draw how a relay goes on: signals a second and memory held, over time, as SVG."""

from __future__ import annotations

import dataclasses
import itertools
import math
import typing as t

#: Seconds since the start, signals sent so far, MiB held.
Sample: t.TypeAlias = "t.Sequence[float]"
Point: t.TypeAlias = "tuple[float, float]"

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BETWEEN, BOTTOM = 70, 20, 30, 50, 45
PANEL = (HEIGHT - TOP - BETWEEN - BOTTOM) / 2
TICKS = 4


@dataclasses.dataclass(frozen=True)
class Axis:
    """Values from zero to *top*, drawn between two coordinates."""

    top: float
    start: float
    end: float

    @classmethod
    def over(cls, values: t.Iterable[float], start: float, end: float) -> Axis:
        """Return an axis that has room for *values*, and ends at a round one."""
        return cls(_round_up(max(values)), start, end)

    def at(self, value: float) -> float:
        """Return the coordinate of *value*."""
        return round(self.start + (self.end - self.start) * value / self.top, 1)

    def ticks(self) -> list[float]:
        """Return the values to be written at the axis."""
        return [self.top * number / TICKS for number in range(TICKS + 1)]


def draw(series: t.Sequence[Sample]) -> str:
    """Return the drawing."""
    seconds = Axis.over([sample[0] for sample in series], LEFT, WIDTH - RIGHT)
    memory = [(sample[0], sample[2]) for sample in series]
    below = TOP + PANEL + BETWEEN
    parts = [
        *_panel("Signals a second", rates(series), seconds, TOP, "#2563a8"),
        *_panel("Memory of the process, MiB", memory, seconds, below, "#a8452f"),
        _text(LEFT, HEIGHT - 8, "Seconds", "start"),
    ]
    return "\n".join([_HEAD, *parts, "</svg>", ""])


def rates(series: t.Sequence[Sample]) -> list[Point]:
    """Return the speed from each sample to the next, at the time of the latter."""
    return [
        (later[0], (later[1] - earlier[1]) / (later[0] - earlier[0]))
        for earlier, later in itertools.pairwise(series)
    ]


def _panel(
    title: str, points: t.Sequence[Point], seconds: Axis, top: float, color: str
) -> list[str]:
    values = Axis.over([value for _, value in points], top + PANEL, top)
    line = " ".join(f"{seconds.at(x)},{values.at(y)}" for x, y in points)
    return [
        _text(LEFT, top - 10, title, "start"),
        *[_level(values, value) for value in values.ticks()],
        *[_text(seconds.at(x), top + PANEL + 16, f"{x:g}") for x in seconds.ticks()],
        f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>',
    ]


def _level(values: Axis, value: float) -> str:
    """Return a thin line across a panel, and its value."""
    y = values.at(value)
    return f'<path d="M{LEFT} {y}H{WIDTH - RIGHT}" stroke="#ddd"/>' + _text(
        LEFT - 8, y + 4, f"{value:,.0f}", "end"
    )


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>'


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 4, 6, 8 or 10 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value)


_HEAD = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
    ' font-family="sans-serif" font-size="12" fill="#333">\n'
    f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
)
