"""What a repeated experiment gives: tables beside the published ones, pictures, misses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, log10

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 360, 70, 150, 34, 46
ACROSS, UP = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
COLOURS = ("#3b6ea5", "#c0504d", "#5f9e4a", "#8064a2", "#d98e32", "#4aa3a3", "#888888", "#b05a8a")


@dataclass
class Result:
    """`misses` says where the outcome is not what it should be; empty is good."""

    title: str
    tables: list[str] = field(default_factory=list)
    pictures: dict[str, str] = field(default_factory=dict)
    misses: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        return "\n\n".join([f"### {self.title}", *self.tables])

    def demand(self, holds: bool, what: str) -> None:
        if not holds:
            self.misses.append(what)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table of Markdown; floats in four figures."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    lines += ["| " + " | ".join(cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def ratio(measured: float, published: float) -> str:
    """Measured over published; a dash where that says nothing."""
    return f"{measured / published:.2f}" if published else "-"


def percentile(values: Sequence[float], percent: float) -> float:
    """By the nearest rank; NaN of nothing."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def chart(
    title: str,
    x_label: str,
    y_label: str,
    series: Mapping[str, Points],
    *,
    beside: Mapping[str, Points] | None = None,
    logarithmic: bool = False,
) -> str:
    """A picture of lines, as SVG. `beside` has lines of the same names, drawn dashed. Where y is
    logarithmic a point of less than one is left out."""
    dashed = beside or {}
    points = [point for lines in (series, dashed) for line in lines.values() for point in line]
    frame = Frame(points, logarithmic)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-weight="bold">{title}</text>',
        f'<text x="{LEFT + ACROSS / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{x_label}</text>',
        f'<text x="8" y="{TOP - 2}">{y_label}</text>',
        *frame.grid(),
    ]
    for number, (name, line) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        top = TOP + 16 * number
        lines.append(frame.line(line, colour, 'stroke-width="1.8"'))
        if name in dashed:
            lines.append(frame.line(dashed[name], colour, 'stroke-dasharray="5 4"'))
        lines.append(f'<text x="{WIDTH - RIGHT + 10}" y="{top + 10}" fill="{colour}">{name}</text>')
    return "\n".join([*lines, "</svg>", ""])


class Frame:
    """Where points of a picture stand."""

    def __init__(self, points: Points, logarithmic: bool) -> None:
        self.logarithmic = logarithmic
        xs = [x for x, _ in points]
        self.x_low, self.x_high = min(xs), max(xs)
        highest = max(y for _, y in points) or 1.0
        self.y_high = ceil(log10(max(highest, 10))) if logarithmic else highest

    def across(self, x: float) -> float:
        return LEFT + ACROSS * (x - self.x_low) / ((self.x_high - self.x_low) or 1.0)

    def up(self, y: float) -> float:
        part = (log10(y) if self.logarithmic else y) / self.y_high
        return HEIGHT - BOTTOM - UP * part

    def line(self, points: Points, colour: str, style: str) -> str:
        drawn = [(x, y) for x, y in points if y >= 1 or not self.logarithmic]
        path = " ".join(f"{self.across(x):.1f},{self.up(y):.1f}" for x, y in drawn)
        return f'<polyline points="{path}" fill="none" stroke="{colour}" {style}/>'

    def grid(self) -> Iterator[str]:
        steps = int(self.y_high) if self.logarithmic else 4
        for step in range(steps + 1):
            y = 10**step if self.logarithmic else self.y_high * step / 4
            at = self.up(y)
            yield f'<path d="M{LEFT} {at:.1f}h{ACROSS}" stroke="#dddddd"/>'
            label = f"{y:,}" if self.logarithmic else f"{y:.3g}"
            yield f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{label}</text>'
        for step in range(5):
            x = self.x_low + (self.x_high - self.x_low) * step / 4
            yield (
                f'<text x="{LEFT + ACROSS * step / 4:.1f}" y="{HEIGHT - BOTTOM + 16}" '
                f'text-anchor="middle">{x:.3g}</text>'
            )
