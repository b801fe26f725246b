"""The random swarm: what it draws, that it repeats itself, and the seeds that once failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from gossip._core import PLANTED_BUGS, plant
from gossip.sim import swarm, work
from gossip.sim.faults import FAULTS, SERF_FAULTS

SEEDS = Path(__file__).with_name("seeds.txt")


def kept_seeds() -> list[int]:
    lines = (line.split("#")[0].split() for line in SEEDS.read_text().splitlines())
    return [int(words[0]) for words in lines if words]


def has_planted_bugs() -> bool:
    """Whether this is the build for the tests of the checks."""
    try:
        plant("")
    except RuntimeError:
        return False
    return True


@pytest.mark.parametrize("kept", kept_seeds())
def test_a_seed_that_once_failed_does_not_any_more(kept: int) -> None:
    swarm.run(kept)


def test_random_pools_break_no_rule_and_agree_when_faults_end(seed: int) -> None:
    reports = [swarm.run(1000 + 10 * seed + each) for each in range(4)]
    assert sum(report.agreed_after is not None for report in reports) == 2


def test_a_few_runs_draw_every_fault_and_see_every_verdict() -> None:
    reports = [swarm.run(seed, seconds=200) for seed in range(1, 25)]
    drawn = {name for report in reports for name in report.faults}
    assert drawn == set(FAULTS) | set(SERF_FAULTS)
    seen = {name for report in reports for name, count in report.verdicts.items() if count}
    assert seen >= set(swarm.VERDICTS) - {"conflict"}
    text = swarm.summary(reports)
    assert "24 runs, no violation" in text
    assert "with Serf's layer: 6 runs (25 %); told: " in text
    told = {name for report in reports for name in report.told}
    assert told >= {"UserEvent", "QueryReceived", "MemberFailed", "MemberLeft", "MemberUpdated"}
    assert min(report.nodes for report in reports) < 8 < max(report.nodes for report in reports)


def test_a_run_is_the_same_in_another_process() -> None:
    seeds = [3, 4, 6, 7]
    assert [swarm.has_serf(seed) for seed in seeds] == [False, False, True, True]
    here = [swarm.run(seed, 60).trace for seed in seeds]
    assert [report.trace for report in work.each(short_run, seeds, 2)] == here


def run_many(seeds: int) -> None:
    for seed in range(1, 1 + seeds):
        swarm.run(seed)


def short_run(seed: int) -> swarm.Report:
    return swarm.run(seed, 60)


def test_the_command_that_replays_a_run_is_part_of_what_it_raises() -> None:
    assert swarm.replay(7, 300) == "python -m gossip.sim swarm --first 7 --seeds 1 --seconds 300"


@pytest.mark.skipif(has_planted_bugs(), reason="this build is made to have bugs")
def test_no_build_but_that_for_tests_has_planted_bugs() -> None:
    with pytest.raises(RuntimeError, match="no planted bugs"):
        plant("resurrection")


@pytest.mark.skipif(not has_planted_bugs(), reason="needs a build with GOSSIP_PLANTED=1")
@pytest.mark.parametrize("bug", PLANTED_BUGS[1:])
def test_a_planted_bug_is_caught(bug: str) -> None:
    plant(bug)
    try:
        with pytest.raises(swarm.Violation, match=r"again with: python -m gossip\.sim swarm"):
            run_many(40)
    finally:
        plant("")
