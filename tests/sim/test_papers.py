"""The papers: that the published formulas are met, and that single runs of each have sense.

The quick forms as a whole are a stage of `ci/run sim`; their tables stand in docs/simulation.md.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from gossip.sim.papers import PAPERS, lifeguard, lifeguard_tables
from gossip.sim.papers.compare import NO, YES
from gossip.sim.papers.lifeguard import Outcome
from gossip.sim.papers.lifeguard_published import TABLE_IV, TABLE_V, TABLE_VII
from gossip.sim.papers.lifeguard_runs import Grid, Runs, Task, physics
from gossip.sim.papers.lifeguard_tables import SLOW, WRONG, sweep_grids
from gossip.sim.papers.result import Result, chart, percentile, ratio, table
from gossip.sim.work import Effort

SECOND = 1_000_000_000


def test_a_slow_member_of_lifeguards_pool_is_detected_after_the_suspicion_timeout() -> None:
    outcome = lifeguard.threshold(lifeguard.CONFIGURATIONS["SWIM"], 4, 32_768, 1)
    assert len(outcome.first_ns) == len(outcome.full_ns) == 4
    assert all(10.5 * SECOND < each < 30 * SECOND for each in outcome.first_ns)
    assert all(first <= full for first, full in zip(outcome.first_ns, outcome.full_ns, strict=True))


SWIM_ALONE = Grid({"SWIM": lifeguard.CONFIGURATIONS["SWIM"]}, gaps=True)
QUICK = Effort(quick=True)


def all_tasks(grid: Grid, effort: Effort) -> list[Task]:
    return [task for run in range(grid.passes(effort)) for task in grid.tasks(effort, run)]


def test_runs_of_lifeguards_configurations_differ_in_nothing_else() -> None:
    by_name: dict[str, list[tuple[int, ...]]] = {}
    for task in all_tasks(WRONG, QUICK):
        by_name.setdefault(task.configuration, []).append((*task.cell, task.seed))
    assert by_name.keys() == TABLE_IV.keys()
    assert len({tuple(places) for places in by_name.values()}) == 1


def test_the_full_grid_is_the_published_one_and_each_run_of_it_has_its_own_seed() -> None:
    full = all_tasks(SWIM_ALONE, Effort())
    assert sorted(task.seed for task in full) == list(range(1, 4321))
    assert {(task.cell, task.run) for task in full} == {
        (cell, run) for cell in {task.cell for task in full} for run in range(10)
    }


def test_fewer_runs_a_cell_are_the_first_ones_of_all() -> None:
    few = Effort(runs=2)
    full = all_tasks(SWIM_ALONE, Effort())
    assert all_tasks(SWIM_ALONE, few) == full[:864]
    assert {task.run for task in full[:864]} == {0, 1}


def test_the_sweep_and_the_other_tables_share_their_runs() -> None:
    for grid, other in zip(sweep_grids(False), (WRONG, SLOW), strict=True):
        mine = {task.key for task in grid.tasks(Effort(), 0)}
        shared = {name: each for name, each in other.configurations.items()
                  if name in ("SWIM", "Lifeguard")}  # fmt: skip
        assert {task.key for task in Grid(shared, other.gaps).tasks(Effort(), 0)} < mine
        assert len(mine) == 10 * len(list(Grid({"SWIM": {}}, other.gaps).tasks(Effort(), 0)))
    assert (5, 6) in TABLE_VII


def made_up(task: Task) -> Outcome:
    return Outcome(false_positives=task.seed, messages=len(task.settings), first_ns=(task.slow, 7))


def outcomes(runs: Runs, effort: Effort) -> list[Outcome]:
    return [outcome for _, outcome in runs.collect(WRONG, effort)]


def test_runs_that_are_kept_are_not_run_again(tmp_path: Path) -> None:
    kept = Effort(quick=True, keep=tmp_path / "runs")
    expected = outcomes(Runs(made_up), QUICK)
    assert outcomes(Runs(made_up), kept) == expected

    def never(task: Task) -> Outcome:
        raise AssertionError(task)

    assert outcomes(Runs(never), kept) == expected


def test_interrupted_runs_go_on_where_they_were_and_end_the_same(tmp_path: Path) -> None:
    kept = Effort(quick=True, keep=tmp_path / "runs")
    expected = outcomes(Runs(made_up), QUICK)
    begun: list[Task] = []

    def interrupted(task: Task) -> Outcome:
        begun.append(task)
        if len(begun) % 7 == 0:
            raise KeyboardInterrupt
        return made_up(task)

    found: list[Outcome] = []
    while not found:
        with suppress(KeyboardInterrupt):
            found = outcomes(Runs(interrupted), kept)
    assert found == expected
    assert len(begun) == len(expected) + 19  # six of seven were kept
    assert outcomes(Runs(made_up), Effort(quick=True, jobs=2)) == expected


def test_a_torn_last_line_is_run_again_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "runs"
    kept = Effort(quick=True, keep=path)
    expected = outcomes(Runs(made_up), kept)
    whole = path.read_bytes()
    begun: list[Task] = []

    def counted(task: Task) -> Outcome:
        begun.append(task)
        return made_up(task)

    for torn in (1, 40):
        path.write_bytes(whole[:-torn])
        assert outcomes(Runs(counted), kept) == expected
        assert len(begun) == 1
        assert path.read_bytes() == whole
        begun.clear()


def test_runs_of_other_settings_or_another_scenario_are_not_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task, *_ = SWIM_ALONE.tasks(Effort(), 0)
    assert replace(task, configuration="another name").key == task.key
    others = [
        replace(task, slow=5),
        replace(task, duration_ms=5),
        replace(task, gap_ms=0),
        replace(task, run=5),
        replace(task, seed=5),
        replace(task, settings=()),
    ]
    keys = {other.key for other in [task, *others]}
    physics.cache_clear()
    monkeypatch.setitem(lifeguard.SCENARIO, "packet_us", 51)
    keys.add(replace(task).key)
    physics.cache_clear()
    assert len(keys) == 2 + len(others)


def as_published(task: Task) -> Outcome:
    """A run of exactly what is published."""
    swim = TABLE_IV["SWIM"]
    row = TABLE_IV.get(task.configuration, swim)
    wrong, healthy = (round(1e6 * row[at] / swim[at]) for at in (0, 1))
    times: tuple[float, ...] = TABLE_V.get(task.configuration, ())
    if "/" in task.configuration:
        alpha, beta = map(int, task.configuration.split("/"))
        *parts, wrong_part, healthy_part = TABLE_VII[alpha, beta]
        wrong, healthy = round(1e4 * wrong_part), round(1e4 * healthy_part)
        times = tuple(part / 100 * base for part, base in zip(parts, TABLE_V["SWIM"], strict=True))
    spread = [980, 15, 5]  # so many at the median, at 99 %, at 99.9 %
    first, full = (
        tuple(
            round(1e9 * at) for at, count in zip(three, spread, strict=True) for _ in range(count)
        )
        for three in (times[:3], times[3:])
    )
    return Outcome(wrong, healthy, round(1e6 * row[2]), round(1e6 * row[3]), first, full)


FOUR = ("lifeguard-fp", "lifeguard-latency", "lifeguard-load", "lifeguard-sweep")


def full_tables(
    function: Callable[[Task], Outcome], monkeypatch: pytest.MonkeyPatch
) -> list[Result]:
    """The four papers in their full form, over a grid of four cells."""
    grid = {"slow": [4], "durations_ms": [512, 2048], "gaps_ms": [1, 4], "runs": 2}
    monkeypatch.setitem(lifeguard.SCENARIO, "full", grid)
    monkeypatch.setattr(lifeguard_tables, "RUNS", Runs(function))
    return [PAPERS[name](Effort()) for name in FOUR]


def test_lifeguards_tables_find_nothing_amiss_with_the_published_figures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for result in full_tables(as_published, monkeypatch):
        assert result.misses == []
        text = result.markdown()
        assert YES in text.replace(legend_of(text), "")
        assert NO not in text.replace(legend_of(text), "")
        assert "the other way round" not in text
        assert "2 runs of each cell of the whole grid" in text


def legend_of(text: str) -> str:
    return next(part for part in text.split("\n\n") if part.startswith("Each cell"))


def test_lifeguards_tables_name_what_is_not_as_published(monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(task: Task) -> Outcome:
        outcome = as_published(task)
        if task.configuration in ("Lifeguard", "5/6"):
            return replace(outcome, false_positives=4 * outcome.false_positives)
        if task.configuration == "Buddy System":
            return replace(outcome, messages=2 * outcome.messages, first_ns=(SECOND,) * 1000)
        return outcome

    wrong, slow, load, swept = full_tables(changed, monkeypatch)
    assert any("FP: Lifeguard: 6.1" in each for each in wrong.misses)
    assert any("LHA-Suspicion and Lifeguard stand the other way" in each for each in wrong.misses)
    # Beyond 99.9 % are too few to say that there might not be later ones.
    assert [each.split(":")[1:3] for each in slow.misses] == [
        [" Buddy System", f" {what} first"] for what in ("median", "99 %")
    ]
    assert any("messages: Buddy System: 200" in each for each in load.misses)
    assert any("FP: 5/6: 6.1" in each for each in swept.misses)


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
    lines = {"one": [(0.0, 0.0), (1.0, 200.0)]}
    both = chart("t", "x", "y", lines, beside=lines, logarithmic=True)
    assert both.count("dasharray") == 1
    assert ">1,000</text>" in both
    result = Result("title", ["text"])
    result.demand(False, "missed")
    assert result.misses == ["missed"]
    assert result.markdown() == "### title\n\ntext"
    assert "lifeguard-fp" in PAPERS
