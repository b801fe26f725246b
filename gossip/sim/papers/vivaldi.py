"""Network coordinates (Serf's form of Vivaldi): error against iterations for the six topologies.

The bounds are those of Serf's own tests after 1,000 cycles; here is the way there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, hypot, pi, sin, sqrt

from gossip._core import Rng
from gossip._serf.coordinates import DIMENSIONS, Coordinate, Vivaldi
from gossip.sim.papers.result import Result, chart, table

MS = 0.001
CYCLES = 1000
SEED = 10
LOOKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True)
class Topology:
    nodes: int
    rtt: Callable[[int, int], float]
    average: float | None = None  # the published bounds of the relative error
    highest: float | None = None
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
    "drift": Topology(4, lambda i, j: 0.5 * (sqrt(2) if {i, j} == {0, 2} else 1)),
}


def errors_of(nodes: list[Vivaldi], topology: Topology) -> list[float]:
    return [
        abs(nodes[i].coordinate.distance(nodes[j].coordinate) - topology.rtt(i, j))
        / topology.rtt(i, j)
        for i in range(topology.nodes)
        for j in range(i + 1, topology.nodes)
    ]


def course(topology: Topology) -> list[tuple[int, float, float]]:
    """(cycles, average error, highest error) at each look."""
    rng = Rng(topology.seed)
    for i in range(topology.nodes):  # random round trips are drawn in rising order
        for j in range(i + 1, topology.nodes):
            topology.rtt(i, j)
    start = Coordinate((0.0,) * topology.dimensions)
    nodes = [Vivaldi(rng.u64, start) for _ in range(topology.nodes)]
    seen = []
    for cycle in range(1, CYCLES + 1):
        for i, node in enumerate(nodes):
            j = rng.below(len(nodes))
            if i != j:
                node.update(f"node_{j}", nodes[j].coordinate, topology.rtt(i, j))
        if cycle in LOOKS:
            errors = errors_of(nodes, topology)
            seen.append((cycle, sum(errors) / len(errors), max(errors)))
    return seen


def run(quick: bool, jobs: int) -> Result:
    """Both forms are the same: it takes a second or two."""
    result = Result("Vivaldi: relative error of the distances")
    rows = []
    lines = {}
    for name, topology in TOPOLOGIES.items():
        seen = course(topology)
        _, average, highest = seen[-1]
        rows.append(
            [name, topology.nodes, average, topology.average or "-", highest,
             topology.highest or "-"]
        )  # fmt: skip
        lines[name] = [(float(look), seen[look][1]) for look in range(len(seen))]
        if topology.average is not None and topology.highest is not None:
            result.demand(
                average <= topology.average and highest <= topology.highest,
                f"vivaldi {name}: {average:.3g} / {highest:.3g} over the bounds",
            )
    header = ["topology", "nodes", "average", "bound", "highest", "bound"]
    result.tables.append(table(header, rows))
    result.pictures["vivaldi"] = chart(
        "Average relative error by cycles", "look at 1, 2, 5, 10, ... 1000 cycles", "error", lines
    )
    return result
