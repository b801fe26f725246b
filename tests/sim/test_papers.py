"""The papers: that the published formulas are met, and that single runs of each have sense.

The quick forms as a whole are a stage of `ci/run sim`; their tables stand in docs/simulation.md.
"""

from __future__ import annotations

import pytest

from gossip.sim.papers import PAPERS, lifeguard, rapid, serf_convergence, swim
from gossip.sim.papers.lifeguard_tables import TABLE_IV, TABLE_VII, tasks
from gossip.sim.papers.result import Result, chart, percentile, ratio, table
from gossip.sim.papers.vivaldi import run as vivaldi

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("size", "loss", "failed", "published"),
    [
        (30, 0.0, 0.0, 1.8),
        (100, 0.0, 0.0, 2.0),
        (1_000, 0.0, 0.0, 2.2),
        (5_000, 0.0, 0.0, 2.4),
        (10_000, 0.0, 0.0, 2.6),
        (100_000, 0.0, 0.0, 2.8),
        (30, 0.25, 0.0, 2.4),
        (1_000, 0.25, 0.0, 3.0),
        (30, 0.5, 0.0, 3.4),
        (30, 0.0, 0.3, 2.6),
    ],
)
def test_serfs_formula_gives_the_published_times(
    size: int, loss: float, failed: float, published: float
) -> None:
    found = serf_convergence.formula_time(size, loss, failed, 0.9999)
    assert found == pytest.approx(published, abs=0.21)  # one interval: the page rounds its own way


def test_a_change_reaches_a_pool_sooner_than_serfs_formula_says() -> None:
    spread = serf_convergence.spread((100, 0.0, 0.0, 1))
    half = spread.time_of(0.5)
    assert half is not None
    assert half < serf_convergence.formula_time(100, 0, 0, 0.5)


def test_a_slow_member_of_lifeguards_pool_is_detected_after_the_suspicion_timeout() -> None:
    outcome = lifeguard.threshold(lifeguard.CONFIGURATIONS["SWIM"], 4, 32_768, 1)
    assert len(outcome.first_ns) == len(outcome.full_ns) == 4
    assert all(10.5 * SECOND < each < 30 * SECOND for each in outcome.first_ns)
    assert all(first <= full for first, full in zip(outcome.first_ns, outcome.full_ns, strict=True))


def test_runs_of_lifeguards_configurations_differ_in_nothing_else() -> None:
    by_name: dict[str, list[tuple[int, int, int, int]]] = {}
    for task in tasks(lifeguard.CONFIGURATIONS, True, gaps=True):
        place = (task.slow, task.duration_ms, task.gap_ms, task.seed)
        by_name.setdefault(task.configuration, []).append(place)
    assert by_name.keys() == TABLE_IV.keys()
    assert len({tuple(places) for places in by_name.values()}) == 1
    full = list(tasks({"SWIM": {}}, False, gaps=True))
    assert len(full) == 4320
    assert dict(lifeguard.tuned(5, 6)) == lifeguard.CONFIGURATIONS["Lifeguard"]
    assert (5, 6) in TABLE_VII


def test_a_crash_is_found_within_periods_and_news_infects_everybody() -> None:
    assert 1 <= swim.detection((8, 1)) < 10
    assert len(swim.infection((16, 1))) == 15


def test_a_pool_that_forms_has_many_views() -> None:
    views, seconds = rapid.bootstrap(30, 1)
    assert views > 10
    assert 10 <= seconds < 300


def test_coordinates_keep_the_published_bounds() -> None:
    result = vivaldi(True, 1)
    assert result.misses == []
    assert result.pictures["vivaldi"].startswith("<svg")


def test_tables_percentiles_and_pictures() -> None:
    assert table(["a", "b"], [[1, 2.5], [10_000, "x"]]).splitlines() == [
        "| a | b |",
        "|---|---|",
        "| 1 | 2.5 |",
        "| 10,000 | x |",
    ]
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([], 50) != percentile([], 50)  # not a number
    assert (ratio(1, 2), ratio(1, 0)) == ("0.50", "-")
    assert chart("t", "x", "y", {"one": [(0, 0), (1, 2)]}).count("polyline") == 1
    result = Result("title", ["text"])
    result.demand(False, "missed")
    assert result.misses == ["missed"]
    assert result.markdown() == "### title\n\ntext"
    assert "lifeguard-fp" in PAPERS
