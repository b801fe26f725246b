"""SWIM, Serf's formula, Rapid and Vivaldi: that the published laws are met, single runs of each,
and a second Vivaldi written from the page, which moves as the core's does.
"""

from __future__ import annotations

from itertools import product
from math import e, hypot, inf
from statistics import fmean

import pytest

from gossip._core import Rng
from gossip._serf.coordinates import Coordinate, Vivaldi
from gossip.sim.papers import rapid, serf_convergence, swim, vivaldi
from gossip.sim.papers.result import Result
from gossip.sim.papers.serf_convergence import Case, Spread

# --- Serf's formula -----------------------------------------------------------------------------

LOSS = Case(loss=0.25)
HALF = Case(loss=0.5)
FAILED = Case(failed=0.3)


@pytest.mark.parametrize(
    ("case", "published"),
    [
        (Case(), {30: 1.8, 100: 2.0, 1000: 2.2, 5000: 2.4, 10_000: 2.6, 100_000: 2.8}),
        (LOSS, {30: 2.4, 100: 2.6, 1000: 3.0, 5000: 3.2, 10_000: 3.4, 100_000: 3.8}),
        (HALF, {30: 3.4, 10_000: 5.0}),
        (FAILED, {30: 2.6, 10_000: 3.6}),
    ],
)
def test_serfs_formula_gives_the_published_times(case: Case, published: dict[int, float]) -> None:
    found = {size: serf_convergence.formula_time(size, case, 0.9999) for size in published}
    assert found == pytest.approx(published)


def test_a_change_reaches_a_pool_by_the_law_of_three_contacts_a_round() -> None:
    done = [serf_convergence.spread((100, Case(), seed)) for seed in (1, 2, 3)]
    assert [each.missed for each in done] == [0, 0, 0]
    time = fmean(each.time_of(0.99) for each in done)
    law = serf_convergence.law_time(100, Case(), 0.99)
    assert 0.7 < time / law < 1.3
    assert time < 0.7 * serf_convergence.formula_time(100, Case(), 0.99)


def test_gossip_alone_misses_whom_no_copy_within_the_retransmit_limit_reaches() -> None:
    case = Case(loss=0.5, probes=False)
    assert serf_convergence.missed_part(30, case) == pytest.approx(e**-4)  # half of 8 copies
    done = [serf_convergence.spread((30, case, seed)) for seed in range(1, 41)]
    missed = sum(each.missed for each in done if each.spread)
    expected = 40 * 29 * e**-4  # 21
    assert expected / 3 < missed < 2 * expected
    assert serf_convergence.died_out(30, case) == pytest.approx(1 / 256)


def test_whom_nothing_reached_counts_as_late_not_as_not_there() -> None:
    some = Spread((0.1, 0.2, 0.3), 5)
    assert some.missed == 1
    assert some.time_of(0.8) == 0.3
    assert some.time_of(0.99) == inf
    assert serf_convergence.in_words([0.5, inf, inf]) == "> 6"
    assert serf_convergence.in_words([0.5] * 8 + [inf] * 2) == "0.50 (0.50 to > 6)"


def test_a_pool_that_is_late_or_unreached_is_a_miss() -> None:
    def misses(case: Case, reached: int, seconds: float, waiting: float = 0.0) -> int:
        result = Result("")
        done = Spread((seconds,) * reached, 100, waiting)
        serf_convergence.judge(result, 100, case, [done])
        return len(result.misses)

    assert misses(Case(), 99, 0.6) == 0
    assert misses(Case(), 99, 2.0) == 1  # late
    assert misses(Case(), 90, 0.6) == 2  # 9 unreached, so that 99 % never know
    assert misses(LOSS, 99, 0.8, waiting=500) == 0
    assert misses(LOSS, 98, 0.8, waiting=500) == 1
    assert misses(HALF, 90, 9.0, waiting=500) == 0  # suspicions fill the packets
    assert misses(HALF, 70, 9.0, waiting=500) == 1
    assert misses(HALF, 70, 9.0) == 2


# --- SWIM ---------------------------------------------------------------------------------------


def test_the_time_to_the_first_detection_is_counted_out_for_small_pools() -> None:
    """Of all orders: when each of three reaches the crashed one, in this round or the next."""
    places = list(product(range(1, 4), repeat=2))
    times = []
    for age in range(3):
        waits = [this - age if this > age else 3 - age + after for this, after in places]
        times += [min(each) for each in product(waits, repeat=3)]
    assert swim.round_robin_periods(4) == pytest.approx(fmean(times))
    assert swim.uniform_periods(10_000) == pytest.approx(e / (e - 1), rel=1e-3)
    assert swim.round_robin_periods(300) == pytest.approx(e / (e - 1), rel=5e-3)


def test_a_crash_is_found_within_periods() -> None:
    assert all(1 <= swim.detection((8, seed)) <= 13 for seed in range(1, 21))
    assert swim.load_of(8) == pytest.approx(2, abs=0.02)


def test_news_infects_everybody_on_as_many_messages_as_are_allowed() -> None:
    done = swim.infection((16, 1, False))
    assert len(done.heard) >= 14  # six copies of each miss one in 25 runs
    assert 16 * done.copies == 6 * (1 + len(done.heard))  # 3 ceil(log10(17))
    faster = swim.infection((16, 1, True))
    assert faster.heard[7] < done.heard[7]


def test_the_plain_model_of_pings_and_acks_spreads_news_as_the_core_does() -> None:
    """No member passes it on more often than it may; and a model twice as slow is a miss."""
    assert len(swim.plain((16, 6, 1))) == 15
    assert len(swim.plain((16, 1, 1))) <= 15
    assert swim.plain((16, 0, 1)) == []
    core = swim.halves(16, [swim.infection((16, seed, False)).heard for seed in range(1, 41)])
    model = swim.halves(16, [swim.plain((16, 6, seed)) for seed in range(1, 41)])
    result = Result("")
    swim.judge_infection(result, 16, core, model)
    assert result.misses == []
    swim.judge_infection(result, 16, [2 * at for at in core], model)
    assert len(result.misses) == 1


# --- Rapid --------------------------------------------------------------------------------------


def test_a_pool_that_forms_has_many_views() -> None:
    found = rapid.bootstrap((30, 1))
    assert found.views > 10
    assert found.views_by_second <= found.views
    assert 10 <= found.seconds < 300


def test_a_member_that_hears_nothing_is_removed_by_all() -> None:
    deaf = rapid.troubled((30, 1, rapid.Trouble(1.0), 60))
    assert deaf.gone[-1] == 1
    assert (deaf.turns, deaf.removals, deaf.returns) == (1, 29, 0)


def test_trouble_that_removes_at_once_and_for_good_or_not_at_all_is_a_miss() -> None:
    def misses(*done: rapid.Course) -> int:
        result = Result("")
        rapid.judge_trouble(result, "", done)
        return len(result.misses)

    swinging = rapid.Course((0.0, 1.0, 0.0), (1, 2, 1), 29, 29, 0)
    removed = rapid.Course((0.0, 1.0, 1.0), (1, 1, 1), 29, 0, 0)
    kept = rapid.Course((0.0, 0.0, 0.0), (1, 1, 1), 0, 0, 0)
    assert misses(swinging, removed) == 0
    assert misses(removed, removed) == 1
    assert misses(kept, kept) == 2


# --- Vivaldi ------------------------------------------------------------------------------------


def test_coordinates_keep_the_published_bounds_at_the_seeds_of_the_tests() -> None:
    result = vivaldi.run(True, 1)
    assert result.misses == []
    assert result.pictures["vivaldi"].startswith("<svg")


class PlainVivaldi:
    """Serf §14.4 once more, line by line as the page has it, with lists and no shared code."""

    def __init__(self, rng: Rng, dimensions: int) -> None:
        self.rng = rng
        self.vec = [0.0] * dimensions
        self.height, self.error, self.adjustment = 1e-5, 1.5, 0.0
        self.heard: dict[int, list[float]] = {}
        self.samples = [0.0] * 20
        self.count = 0

    def raw(self, other: PlainVivaldi) -> float:
        return hypot(*(a - b for a, b in zip(self.vec, other.vec, strict=True))) + (
            self.height + other.height
        )

    def distance(self, other: PlainVivaldi) -> float:
        raw = self.raw(other)
        adjusted = raw + self.adjustment + other.adjustment
        return int((adjusted if adjusted > 0 else raw) * 1e9) / 1e9

    def push(self, force: float, other: PlainVivaldi) -> None:
        away = [a - b for a, b in zip(self.vec, other.vec, strict=True)]
        length = hypot(*away)
        if length <= 1e-6:
            away = [(self.rng.u64() >> 11) / 2**53 - 0.5 for _ in away]
        self.vec = [a + force * b / hypot(*away) for a, b in zip(self.vec, away, strict=True)]
        if length > 1e-6:
            height = (self.height + other.height) * force / length + self.height
            self.height = max(height, 1e-5)

    def update(self, number: int, other: PlainVivaldi, rtt: float) -> None:
        self.heard[number] = [*self.heard.get(number, []), rtt][-3:]
        rtt = sorted(self.heard[number])[len(self.heard[number]) // 2]
        distance = self.distance(other)
        weight = 0.25 * self.error / (self.error + other.error)
        wrong = abs(distance - rtt) / rtt
        self.error = min(weight * wrong + self.error * (1 - weight), 1.5)
        self.push(weight * (rtt - distance), other)
        self.samples[self.count % 20] = rtt - self.raw(other)
        self.count += 1
        self.adjustment = sum(self.samples) / 40
        origin = PlainVivaldi(self.rng, len(self.vec))
        self.push(-((origin.distance(self) / 150) ** 2), origin)


@pytest.mark.parametrize("name", ["line", "height circle", "split"])
def test_a_second_vivaldi_written_from_the_page_goes_the_same_way(name: str) -> None:
    topology = vivaldi.TOPOLOGIES[name]
    rng, plain_rng, draw = Rng(7), Rng(7), Rng(8)
    start = Coordinate((0.0,) * topology.dimensions)
    nodes = [Vivaldi(rng.u64, start) for _ in range(topology.nodes)]
    plain = [PlainVivaldi(plain_rng, topology.dimensions) for _ in range(topology.nodes)]
    for _ in range(100 * topology.nodes):
        i, j = draw.below(topology.nodes), draw.below(topology.nodes)
        if i != j:
            nodes[i].update(f"node_{j}", nodes[j].coordinate, topology.rtt(i, j))
            plain[i].update(j, plain[j], topology.rtt(i, j))
    for node, other in zip(nodes, plain, strict=True):
        assert node.coordinate.vec == pytest.approx(other.vec, abs=1e-7)
        assert node.coordinate.height == pytest.approx(other.height, abs=1e-7)
        assert node.coordinate.adjustment == pytest.approx(other.adjustment, abs=1e-7)
        assert node.coordinate.error == pytest.approx(other.error, abs=1e-6)
