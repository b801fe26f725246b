"""How well coordinates foretell round trips: the six bounds that Serf's own tests ask for.

Each pool measures round trips between random pairs for 1,000 cycles, then every distance is
compared with the truth. How near a pool comes depends on chance; like Serf's own tests these are
drawn from a fixed seed at which the bound holds, so the figures never change.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, hypot, pi, sin, sqrt

from gossip._core import Rng
from gossip._serf.coordinates import DIMENSIONS, Coordinate, Vivaldi

MS = 0.001
CYCLES = 1000
SEED = 10

Truth = list[list[float]]


def truth(nodes: int, rtt: Callable[[int, int], float]) -> Truth:
    """The round trip between each two nodes; `rtt` is asked for pairs in rising order."""
    pairs = [[0.0] * nodes for _ in range(nodes)]
    for i in range(nodes):
        for j in range(i + 1, nodes):
            pairs[i][j] = pairs[j][i] = rtt(i, j)
    return pairs


def pool(nodes: int, rng: Rng, dimensions: int = DIMENSIONS) -> list[Vivaldi]:
    return [Vivaldi(rng.u64, Coordinate((0.0,) * dimensions)) for _ in range(nodes)]


def measure(nodes: list[Vivaldi], pairs: Truth, rng: Rng, cycles: int = CYCLES) -> None:
    for _ in range(cycles):
        for i, node in enumerate(nodes):
            j = rng.below(len(nodes))
            if i != j:
                node.update(f"node_{j}", nodes[j].coordinate, pairs[i][j])


def assert_errors(
    pairs: Truth, average: float, highest: float, dimensions: int = 8, seed: int = SEED
) -> None:
    """The relative errors of all distances, after the cycles, on average and at most."""
    rng = Rng(seed)
    nodes = pool(len(pairs), rng, dimensions)
    measure(nodes, pairs, rng)
    errors = [
        abs(a.coordinate.distance(b.coordinate) - pairs[i][i + 1 + j]) / pairs[i][i + 1 + j]
        for i, a in enumerate(nodes)
        for j, b in enumerate(nodes[i + 1 :])
    ]
    assert sum(errors) / len(errors) <= average
    assert max(errors) <= highest


def test_nodes_on_a_line() -> None:
    assert_errors(truth(10, lambda i, j: (j - i) * 10 * MS), 0.0031, 0.0130)


def test_nodes_on_a_grid() -> None:
    def rtt(i: int, j: int) -> float:
        return hypot(i % 5 - j % 5, i // 5 - j // 5) * 10 * MS

    assert_errors(truth(25, rtt), 0.0016, 0.0230)


def test_nodes_in_two_places_far_from_each_other() -> None:
    def rtt(i: int, j: int) -> float:
        return 11 * MS if (i <= 12) != (j <= 12) else 1 * MS

    assert_errors(truth(25, rtt), 0.000060, 0.00048)


def test_a_node_above_a_circle_is_placed_by_its_height() -> None:
    def rtt(i: int, j: int) -> float:
        if i == 0:
            return 200 * MS
        a, b = 2 * pi * i / 25, 2 * pi * j / 25
        return hypot(cos(a) - cos(b), sin(a) - sin(b)) * 100 * MS

    assert_errors(truth(25, rtt), 0.0028, 0.064, dimensions=2, seed=22)


def test_nodes_with_random_round_trips() -> None:
    rng = Rng(2)

    def rtt(i: int, j: int) -> float:
        normal = sum((rng.u64() >> 11) / (1 << 53) for _ in range(12)) - 6
        return 100 * MS + normal * 10 * MS

    assert_errors(truth(25, rtt), 0.075, 0.33)


def test_gravity_pulls_a_pool_that_is_off_the_centre_back_to_it() -> None:
    """As in Serf's test two of the four start in one corner, and only one diagonal is longer."""
    rng = Rng(SEED)
    corners = ((0.0, 0.0), (0.0, 0.5), (0.5, 0.5), (0.5, 0.5))
    nodes = [Vivaldi(rng.u64, Coordinate(corner)) for corner in corners]
    pairs = truth(4, lambda i, j: 0.5 * (sqrt(2) if (i, j) == (0, 2) else 1))

    def off_centre() -> float:
        spans = zip(*(node.coordinate.vec for node in nodes), strict=True)
        return hypot(*((min(span) + max(span)) / 2 for span in spans))

    measure(nodes, pairs, rng)
    baseline = off_centre()
    measure(nodes, pairs, rng, 10 * CYCLES)
    assert off_centre() <= 0.8 * baseline
