"""Network coordinates (Serf's form of Vivaldi): error against iterations for the six topologies.

The bounds are those of Serf's own tests after 1,000 cycles. Those run at one seed, as the first
table does; how near a pool comes is chance, and the second table shows it over many seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import cos, hypot, log10, pi, sin, sqrt

from gossip._core import Rng
from gossip._serf.coordinates import DIMENSIONS, Coordinate, Vivaldi
from gossip.sim import work
from gossip.sim.papers.result import Result, chart, percentile, table

MS = 0.001
CYCLES = 1000
SEED = 10
SEEDS = 40
LOOKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True)
class Topology:
    nodes: int
    rtt: Callable[[int, int], float]
    average: float  # the published bounds of the relative error
    highest: float
    dimensions: int = DIMENSIONS
    seed: int = SEED


def circle(i: int, j: int) -> float:
    if 0 in (i, j):
        return 200 * MS
    a, b = 2 * pi * i / 25, 2 * pi * j / 25
    return hypot(cos(a) - cos(b), sin(a) - sin(b)) * 100 * MS


def noise() -> Callable[[int, int], float]:
    rng = Rng(2)
    drawn: dict[tuple[int, int], float] = {}

    def rtt(i: int, j: int) -> float:
        pair = (min(i, j), max(i, j))
        if pair not in drawn:
            normal = sum((rng.u64() >> 11) / (1 << 53) for _ in range(12)) - 6
            drawn[pair] = 100 * MS + normal * 10 * MS
        return drawn[pair]

    return rtt


TOPOLOGIES = {
    "line": Topology(10, lambda i, j: abs(j - i) * 10 * MS, 0.0031, 0.0130),
    "grid": Topology(
        25, lambda i, j: hypot(i % 5 - j % 5, i // 5 - j // 5) * 10 * MS, 0.0016, 0.0230
    ),
    "split": Topology(
        25, lambda i, j: 11 * MS if (i <= 12) != (j <= 12) else 1 * MS, 0.000060, 0.00048
    ),
    "height circle": Topology(25, circle, 0.0028, 0.064, 2, 22),
    "random": Topology(25, noise(), 0.075, 0.33),
}
# Of the sixth, drift, not the error is asked but how far the pool is off the centre: two of its
# four nodes start in one corner, and ten times the cycles must leave at most 0.8 of the distance.
CORNERS = ((0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, 0.5))
DRIFT_BOUND = 0.8


def square(i: int, j: int) -> float:
    return 0.5 * (sqrt(2) if {i, j} == {0, 2} else 1)


def errors_of(nodes: Sequence[Vivaldi], topology: Topology) -> list[float]:
    return [
        abs(nodes[i].coordinate.distance(nodes[j].coordinate) - topology.rtt(i, j))
        / topology.rtt(i, j)
        for i in range(topology.nodes)
        for j in range(i + 1, topology.nodes)
    ]


def turn(nodes: Sequence[Vivaldi], rtt: Callable[[int, int], float], rng: Rng) -> None:
    """One cycle: each measures the round trip to one that it draws, which may be itself."""
    for i, node in enumerate(nodes):
        j = rng.below(len(nodes))
        if i != j:
            node.update(f"node_{j}", nodes[j].coordinate, rtt(i, j))


@dataclass(frozen=True)
class Course:
    """The average and the highest error at each look."""

    averages: tuple[float, ...]
    highest: tuple[float, ...]

    def within(self, topology: Topology) -> bool:
        return self.averages[-1] <= topology.average and self.highest[-1] <= topology.highest


def course(task: tuple[str, int]) -> Course:
    """Of one topology, from one seed."""
    name, seed = task
    topology = TOPOLOGIES[name]
    rng = Rng(seed)
    for i in range(topology.nodes):  # random round trips are drawn in rising order
        for j in range(i + 1, topology.nodes):
            topology.rtt(i, j)
    start = Coordinate((0.0,) * topology.dimensions)
    nodes = [Vivaldi(rng.u64, start) for _ in range(topology.nodes)]
    averages, highest = [], []
    for cycle in range(1, CYCLES + 1):
        turn(nodes, topology.rtt, rng)
        if cycle in LOOKS:
            errors = errors_of(nodes, topology)
            averages.append(sum(errors) / len(errors))
            highest.append(max(errors))
    return Course(tuple(averages), tuple(highest))


def drift(seed: int) -> float:
    """What is left of the distance from the centre."""
    rng = Rng(seed)
    nodes = [Vivaldi(rng.u64, Coordinate(corner)) for corner in CORNERS]

    def off_centre() -> float:
        spans = zip(*(node.coordinate.vec for node in nodes), strict=True)
        return hypot(*((min(span) + max(span)) / 2 for span in spans))

    for _ in range(CYCLES):
        turn(nodes, square, rng)
    before = off_centre()
    for _ in range(10 * CYCLES):
        turn(nodes, square, rng)
    return off_centre() / before


def run(quick: bool, jobs: int) -> Result:
    """The quick form has one seed, the full one many."""
    result = Result("Vivaldi: relative error of the distances")
    at_one = dict(
        zip(
            TOPOLOGIES,
            work.each(course, [(name, each.seed) for name, each in TOPOLOGIES.items()], jobs),
            strict=True,
        )
    )
    add_seed(result, at_one, drift(SEED))
    if not quick:
        add_seeds(result, jobs)
    result.pictures["vivaldi"] = chart(
        "Average relative error by cycles", "log10 of the cycles", "error",
        {name: [(log10(at), error) for at, error in zip(LOOKS, each.averages, strict=True)]
         for name, each in at_one.items()},
    )  # fmt: skip
    return result


def add_seed(result: Result, at_one: dict[str, Course], drifted: float) -> None:
    rows: list[list[object]] = []
    for name, topology in TOPOLOGIES.items():
        one = at_one[name]
        rows.append(
            [name, topology.nodes, topology.seed, one.averages[-1], topology.average,
             one.highest[-1], topology.highest]
        )  # fmt: skip
        result.demand(
            one.within(topology),
            f"vivaldi {name}: {one.averages[-1]:.3g} / {one.highest[-1]:.3g} over the bounds",
        )
    header = ["topology", "nodes", "seed", "average", "bound", "highest", "bound"]
    rows.append(["drift, what is left", len(CORNERS), SEED, drifted, DRIFT_BOUND, "-", "-"])
    result.demand(drifted <= DRIFT_BOUND, f"vivaldi drift: {drifted:.2f} is left")
    result.tables.append(table(header, rows))


def add_seeds(result: Result, jobs: int) -> None:
    """How often each bound is kept: by chance, where a bound is what one seed gave."""
    seeds = range(1, SEEDS + 1)
    rows: list[list[object]] = []
    for name, topology in TOPOLOGIES.items():
        done = list(work.each(course, [(name, seed) for seed in seeds], jobs))
        both = sum(each.within(topology) for each in done)
        averages = [each.averages[-1] for each in done]
        rows.append(
            [name, *seen(averages, topology.average),
             *seen([each.highest[-1] for each in done], topology.highest), both]
        )  # fmt: skip
        result.demand(both > 0, f"vivaldi {name}: no seed of {SEEDS} within the bounds")
        result.demand(
            percentile(averages, 50) < 2 * topology.average, f"vivaldi {name}: far over the bound"
        )
    drifted = list(work.each(drift, seeds, jobs))
    kept = sum(each <= DRIFT_BOUND for each in drifted)
    rows.append(["drift, what is left", *seen(drifted, DRIFT_BOUND), "-", "-", "-", kept])
    result.demand(kept > SEEDS / 2, f"vivaldi drift: {kept} seeds of {SEEDS} within the bound")
    header = [f"topology, {SEEDS} seeds", "average: median (10 to 90 %)", "bound", "seeds within",
              "highest: median (10 to 90 %)", "bound", "seeds within", "within both"]  # fmt: skip
    result.tables.append(table(header, rows))


def seen(values: Sequence[float], bound: float) -> list[object]:
    """The median and what eight of ten lie between, the bound, and how many keep it."""
    middle, low, high = (f"{percentile(values, percent):.3g}" for percent in (50, 10, 90))
    return [f"{middle} ({low} to {high})", bound, sum(each <= bound for each in values)]
