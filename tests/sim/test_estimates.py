"""Intervals of what is measured, and verdicts beside what is published."""

from __future__ import annotations

from dataclasses import replace
from math import inf, isnan
from random import Random

import pytest

from gossip.sim.papers.compare import (
    BY_INTERVAL,
    NO,
    YES,
    Compared,
    order,
    within,
    within_or_few,
    within_points,
)
from gossip.sim.papers.estimates import (
    Estimate,
    around,
    percent_of_total,
    quantile,
    strata,
    student,
    total,
)

REPETITIONS = 60


def clusters(random: Random, runs: int) -> list[list[int]]:
    """A grid on which few cells have false positives, and those in some runs, and then many."""
    return [
        [random.randrange(10, 60) if random.random() < 0.4 else 0 for _ in range(runs)]
        if cell % 8 == 0
        else [0] * runs
        for cell in range(160)
    ]


def covered(runs: int, seed: int) -> tuple[float, float]:
    """How many repetitions of the published size lie in the interval, and in Poisson's."""
    random = Random(seed)
    hits = by_poisson = 0
    for _ in range(REPETITIONS):
        mine, published = clusters(random, runs), sum(map(sum, clusters(random, 10)))
        found = total(mine).times(10 / runs)
        hits += found.low <= published <= found.high
        plain = around(sum(map(sum, mine)), 0, 1 + runs / 10).times(10 / runs)
        by_poisson += plain.low <= published <= plain.high
    return hits / REPETITIONS, by_poisson / REPETITIONS


@pytest.mark.parametrize("runs", [1, 2, 5, 10])
def test_a_repetition_lies_in_the_interval_and_in_poissons_too_seldom(runs: int) -> None:
    ours, poisson = covered(runs, runs)
    assert ours >= 0.9
    assert poisson < 0.7


def test_of_single_events_the_interval_is_garwoods() -> None:
    found = around(10, 0, 1)
    assert (found.low, found.high) == pytest.approx((4.795, 18.39), rel=0.01)
    assert around(0, 0, 1).low == 0
    assert around(0, 0, 1).high == pytest.approx(3.689, rel=0.01)
    assert around(40, 160, 1).low == pytest.approx(4 * 4.795, rel=0.01)  # ten clusters of four


def test_students_quantile_is_the_published_one() -> None:
    assert student(5) == pytest.approx(2.571, rel=0.01)
    assert student(30) == pytest.approx(2.042, rel=0.001)


def test_what_both_configurations_have_in_common_is_no_chance_of_ours() -> None:
    random = Random(1)
    base = [[random.randrange(100) for _ in range(1)] for _ in range(50)]
    twice = [[2 * value for value in cell] for cell in base]
    other = [[random.randrange(200) for _ in range(1)] for _ in range(50)]
    found, apart = percent_of_total(twice, base), percent_of_total(other, base)
    assert found.value == 200
    assert found.high - found.low < 0.6 * (apart.high - apart.low)
    assert isnan(percent_of_total(base, [[0]] * 50).value)


def test_runs_of_neighbours_are_taken_together_where_a_cell_has_one() -> None:
    assert list(strata([[1], [2], [3], [4], [5]])) == [[1, 2], [3, 4, 5]]
    assert list(strata([[1, 2], [3, 4]])) == [[1, 2], [3, 4]]


def test_a_quantile_has_no_upper_end_where_too_few_lie_beyond() -> None:
    random = Random(2)
    cells = [[[random.random() for _ in range(10)] for _ in range(5)] for _ in range(10)]
    flat = sorted(value for cell in cells for run in cell for value in run)
    median, tail = quantile(cells, 50), quantile(cells, 99.9)
    assert median.value == flat[250]
    assert flat[200] < median.low < median.value < median.high < flat[300]
    assert tail.value == flat[499]
    assert tail.high == inf
    assert tail.low < tail.value
    assert isnan(quantile([[[]]], 50).value)


def test_latencies_that_come_together_widen_the_interval() -> None:
    random = Random(3)
    single = [[[random.random() for _ in range(10)] for _ in range(5)] for _ in range(10)]
    together = [[[run[0]] * 10 for run in cell] for cell in single]
    narrow, wide = quantile(single, 50), quantile(together, 50)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_the_interval_of_a_ratio_holds_that_of_both_its_sides() -> None:
    ten = Estimate(10, 9, 11)
    found = ten.percent_of(Estimate(20, 20, 20))
    assert (found.value, found.low, found.high) == pytest.approx((50, 45, 55))
    assert ten.percent_of(Estimate(20, 18, inf)).low == 0


def test_a_verdict_says_by_what_a_figure_agrees() -> None:
    assert within(Estimate(120, 118, 122), 100, 0.3).verdict == YES
    assert within(Estimate(140, 125, 160), 100, 0.3).verdict == BY_INTERVAL
    assert within(Estimate(140, 135, 160), 100, 0.3).verdict == NO
    assert within_or_few(Estimate(140, 125, 160), 100, 0.3, events=100).verdict == BY_INTERVAL
    assert within_or_few(Estimate(140, 125, 160), 100, 0.3, events=99).verdict == NO
    assert within_or_few(Estimate(140, 95, 160), 100, 0.3, events=99).verdict == BY_INTERVAL
    assert within_points(Estimate(104, 103, 105), 100, 5).verdict == YES
    cell = within(Estimate(1.5, 1, 2), 1, 0.3)
    assert cell.cell() == "1.5 / 1 (1.50) ~<br>1 to 2"
    assert replace(cell, measured=Estimate(1, 0.5, inf)).cell(".1f") == (
        "1.0 / 1.0 (1.00) ✓<br>from 0.5"
    )
    assert cell.cell_in_points() == "1.5 / 1 (+0.5) ~<br>1 to 2"


def test_pairs_that_stand_the_other_way_round_are_named_and_told_apart() -> None:
    def figure(low: float, high: float, published: float) -> Compared:
        return within(Estimate((low + high) / 2, low, high), published, 0.3)

    figures = {"a": figure(1, 2, 3), "b": figure(1.4, 2, 2), "c": figure(5, 6, 1)}
    found = order(figures)
    assert found.pairs == 3
    assert found.reversed == ("a and b", "a and c", "b and c")
    assert found.contradicted == ("a and c", "b and c")
    assert order({"a": figure(1, 2, 1), "b": figure(2, 3, 2)}).text() == "as published"
    assert found.text().startswith("0 of 3 pairs")
