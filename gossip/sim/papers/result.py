"""What a repeated experiment gives: tables beside the published ones, pictures, misses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Points = Sequence[tuple[float, float]]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 360, 70, 150, 34, 46
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


def chart(title: str, x_label: str, y_label: str, series: Mapping[str, Points]) -> str:
    """A picture of lines, as SVG."""
    points = [point for line in series.values() for point in line]
    x_low, x_high = min(x for x, _ in points), max(x for x, _ in points)
    y_high = max(y for _, y in points) or 1.0
    across, up = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(x: float, y: float) -> str:
        right = LEFT + across * (x - x_low) / ((x_high - x_low) or 1.0)
        return f"{right:.1f},{HEIGHT - BOTTOM - up * y / y_high:.1f}"

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-weight="bold">{title}</text>',
        f'<text x="{LEFT + across / 2:.0f}" y="{HEIGHT - 8}" text-anchor="middle">{x_label}</text>',
        f'<text x="8" y="{TOP - 2}">{y_label}</text>',
    ]
    for step in range(5):
        y = y_high * step / 4
        at = HEIGHT - BOTTOM - up * step / 4
        x = x_low + (x_high - x_low) * step / 4
        lines += [
            f'<path d="M{LEFT} {at:.1f}h{across}" stroke="#dddddd"/>',
            f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{y:.3g}</text>',
            f'<text x="{LEFT + across * step / 4:.1f}" y="{HEIGHT - BOTTOM + 16}" '
            f'text-anchor="middle">{x:.3g}</text>',
        ]
    for number, (name, line) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(place(x, y) for x, y in line)
        top = TOP + 16 * number
        lines += [
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>',
            f'<text x="{WIDTH - RIGHT + 10}" y="{top + 10}" fill="{colour}">{name}</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])
