"""What runs tell of a published figure: a value, and the interval a repetition would lie in.

Runs stand in cells of a grid that is the same in each repetition: only what varies between the
runs of a cell is chance. False positives come in clusters, a whole run of them or none, so their
number is far from Poisson's; the runs say how far. A bootstrap would do worse: of r runs in a cell
it sees (r - 1) / r of the variance, half with two of them and nothing with one. So the variances
of the cells, each free of bias, are added up. With one run a cell, neighbours are taken for runs
of one cell; what differs between these is added, and the interval is too wide, never too narrow.

An interval counts the chance of both sides: of these runs, and of the published ones, of which a
cell had ten. It is where 95 of 100 such repetitions would lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, exp, inf, log, nan, sqrt
from statistics import variance

# Cells, and in each of them one number (or the latencies) of each of its runs.
Cells = Sequence[Sequence[float]]
Latencies = Sequence[Sequence[Sequence[float]]]

PUBLISHED_RUNS = 10
NORMAL = 1.959964  # 2.5 % lie above it
FREEDOM_MIN = 2.0


@dataclass(frozen=True)
class Estimate:
    """`high` is infinite where nothing bounds it."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Estimate:
        return Estimate(self.value * factor, self.low * factor, self.high * factor)

    def percent_of(self, base: Estimate) -> Estimate:
        """As if both were independent: with the same seeds it is rather narrower (Zou and
        Donner's recovery of variances, of the logarithms)."""
        down = sqrt(log(self.value / self.low) ** 2 + log(base.high / base.value) ** 2)
        up = sqrt(log(self.high / self.value) ** 2 + log(base.value / base.low) ** 2)
        share = 100 * self.value / base.value
        return Estimate(share, share * exp(-down), share * exp(up))

    def apart(self, other: Estimate) -> bool:
        return self.high < other.low or other.high < self.low


UNKNOWN = Estimate(nan, nan, nan)


def strata(cells: Sequence[Sequence[float]]) -> Iterator[Sequence[float]]:
    """Groups of two runs and more that are taken for alike."""
    single = [value for cell in cells for value in cell] if len(cells[0]) == 1 else []
    if len(single) < 2:
        yield from cells
        return
    for at in range(0, len(single) - 1, 2):
        yield single[at : at + 3 if at + 3 == len(single) else at + 2]


def scatter(cells: Cells) -> float:
    """The variance of the sum of all, made larger where it is itself known of few runs (Student's
    t, with Welch and Satterthwaite's degrees of freedom)."""
    parts = [(len(each) * variance(each), len(each) - 1) for each in strata(cells) if len(each) > 1]
    whole = sum(part for part, _ in parts)
    if not whole:
        return 0.0
    freedom = whole**2 / sum(part**2 / degrees for part, degrees in parts)
    return whole * (student(freedom) / NORMAL) ** 2


def beside(cells: Cells) -> float:
    """The chance in the published figure, as a part of that in ours: it has more runs."""
    return len(cells[0]) / PUBLISHED_RUNS


def student(freedom: float) -> float:
    """What 2.5 % of Student's t lie above (Cornish and Fisher)."""
    z, n = NORMAL, max(freedom, FREEDOM_MIN)
    return z + (z**3 + z) / (4 * n) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * n**2)


def chi_square(freedom: float, normal: float) -> float:
    """Its quantile where the normal distribution has that one (Wilson and Hilferty)."""
    if freedom <= 0:
        return 0.0
    part = 2 / (9 * freedom)
    return freedom * max(0.0, 1 - part + normal * sqrt(part)) ** 3


def around(count: float, spread: float, least: float) -> Estimate:
    """The interval of a number of events that come in clusters: Poisson's (Garwood) of clusters of
    the size that the variance says, and `least`, what it is of one event without any cluster."""
    size = max(least, spread / count if count else 0.0)
    clusters = count / size
    low = chi_square(2 * clusters, -NORMAL) * size / 2
    return Estimate(count, low, chi_square(2 * clusters + 2, NORMAL) * size / 2)


def total(cells: Cells) -> Estimate:
    """How many events there were."""
    both = 1 + beside(cells)
    return around(sum(map(sum, cells)), scatter(cells) * both, both)


def percent_of_total(cells: Cells, base: Cells) -> Estimate:
    """Events as a part of others that runs with the same seeds gave. What both have in common is
    not taken for chance on our side; the published ones had no seeds."""
    mine, theirs = float(sum(map(sum, cells))), float(sum(map(sum, base)))
    if not theirs:
        return UNKNOWN
    share = mine / theirs
    rest = [
        [value - share * other for value, other in zip(cell, others, strict=True)]
        for cell, others in zip(cells, base, strict=True)
    ]
    published = beside(cells) * (scatter(cells) + share**2 * scatter(base))
    least = 1 + beside(cells)
    if not mine:  # how large a cluster would have been is not known: as large as the others
        least *= max(1.0, scatter(base) / theirs)
    return around(mine, scatter(rest) + published, least).times(100 / theirs)


def quantile(cells: Latencies, percent: float) -> Estimate:
    """The latency that so many do not exceed, and its interval by the number of those that do
    (Woodruff): no assumption of its distribution. Beyond the last one nothing bounds it."""
    ordered = sorted(value for cell in cells for run in cell for value in run)
    if not ordered:
        return UNKNOWN
    part, count = percent / 100, len(ordered)
    value = ordered[min(count - 1, int(count * part))]
    above = [
        [sum(each >= value for each in run) - (1 - part) * len(run) for run in cell]
        for cell in cells
    ]
    both = 1 + beside(above)
    beyond = around(count * (1 - part), scatter(above) * both, part * both)
    low = ordered[max(0, count - ceil(beyond.high))]
    high = ordered[count - int(beyond.low)] if beyond.low >= 1 else inf
    return Estimate(value, min(low, value), max(high, value))
