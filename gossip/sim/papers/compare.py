"""A measured figure beside a published one: whether they agree, and how a table says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import isinf

from gossip.sim.papers.estimates import Estimate
from gossip.sim.papers.result import cell, ratio

# Counts under this say little by their value.
FEW = 100

YES, BY_INTERVAL, NO = "✓", "~", "✗"

LEGEND = (
    "Each cell: measured / published ({relation}) and, below, the interval in which 95 of 100 "
    "repetitions of the published\nsize would lie, by the scatter of the runs. "
    f"{YES}: the measured value is within {{band}} of the published one. {BY_INTERVAL}: its"
    f" interval is,\nor, of fewer than {FEW} events, holds the published value. {NO}: neither."
)


@dataclass(frozen=True)
class Compared:
    """`band` is what the measured value may be, as (lowest, highest)."""

    measured: Estimate
    published: float
    band: tuple[float, float]

    @property
    def verdict(self) -> str:
        low, high = self.band
        if low <= self.measured.value <= high:
            return YES
        meets = self.measured.low <= high and self.measured.high >= low
        return BY_INTERVAL if meets else NO

    def cell(self, digits: str = ".4g") -> str:
        """For ratios and times."""
        return self.text(ratio(self.measured.value, self.published), digits)

    def cell_in_points(self) -> str:
        """For parts in per cent that are compared by their difference."""
        return self.text(f"{self.measured.value - self.published:+.1f}", ".4g")

    def text(self, relation: str, digits: str) -> str:
        both = f"{self.measured.value:{digits}} / {self.published:{digits}}"
        return f"{both} ({relation}) {self.verdict}<br>{span(self.measured)}"


def span(measured: Estimate) -> str:
    if isinf(measured.high):
        if not measured.low:
            return "not bounded"
        return f"from {cell(measured.low)}"
    return f"{cell(measured.low)} to {cell(measured.high)}"


def within(measured: Estimate, published: float, part: float) -> Compared:
    """May differ by that part of what is published."""
    return Compared(measured, published, ((1 - part) * published, (1 + part) * published))


def within_points(measured: Estimate, published: float, points: float) -> Compared:
    return Compared(measured, published, (published - points, published + points))


def within_or_few(measured: Estimate, published: float, part: float, events: float) -> Compared:
    """As `within`, but with few events, here or there, the interval alone decides."""
    if events >= FEW:
        return within(measured, published, part)
    return Compared(measured, published, (published, published))


@dataclass(frozen=True)
class Order:
    """Of several figures: which pairs stand the other way round than published, and which of
    these are told apart by their intervals."""

    pairs: int
    reversed: tuple[str, ...]
    contradicted: tuple[str, ...]

    def text(self) -> str:
        if not self.reversed:
            return "as published"
        right = self.pairs - len(self.reversed)
        apart = ", ".join(self.contradicted) or "none"
        return (
            f"{right} of {self.pairs} pairs as published; the other way round are "
            f"{', '.join(self.reversed)}, of these apart by their intervals: {apart}"
        )


def order(figures: Mapping[str, Compared]) -> Order:
    reverse, contradicted = [], []
    pairs = list(combinations(figures.items(), 2))
    for (name, one), (other_name, other) in pairs:
        published = one.published - other.published
        if published * (one.measured.value - other.measured.value) >= 0:
            continue
        label = f"{name} and {other_name}"
        reverse.append(label)
        if one.measured.apart(other.measured):
            contradicted.append(label)
    return Order(len(pairs), tuple(reverse), tuple(contradicted))
