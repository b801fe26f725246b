"""The simulated cluster that users get: faults, handlers, the pytest fixture, scenarios as data."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import gossip
from gossip import (
    Config,
    Event,
    MemberFailed,
    MemberJoined,
    MembersSnapshot,
    MessageReceived,
    QueryReceived,
    Status,
    UserEvent,
)
from gossip.sim import NotSo, SimulatedNode, Simulation, scenario
from gossip.sim.__main__ import main

Factory = Callable[..., Simulation]

SCENARIO = """
nodes = 5
[settings]
suspicion_mult = 5
[network]
loss = 0.05
[[steps]]
at = 10
do = "partition"
groups = [[0, 1], [2, 3, 4]]
[[steps]]
at = 60
do = "heal"
[[steps]]
at = 61
do = "update_meta"
node = 2
meta = "new"
[expect]
within = 300
"""


def test_a_partition_is_seen_by_both_sides_and_heals(gossip_cluster: Factory) -> None:
    cluster = gossip_cluster(5)
    cluster.partition({0, 1}, {2, 3, 4})
    took = cluster.wait_until(lambda: cluster[0].status(4) is Status.FAILED)
    assert took > 1
    assert cluster[0].status(1) is Status.ALIVE
    cluster.wait_until(lambda: cluster[4].status(0) is Status.FAILED)
    cluster.heal()
    cluster.wait_until(cluster.agreed, within=300)


def test_a_users_handler_sees_what_happens_when_it_happens(gossip_cluster: Factory) -> None:
    cluster = gossip_cluster(4)
    failures: list[tuple[float, str]] = []

    @cluster[1].on_event
    def note(event: Event) -> None:
        match event:
            case MemberFailed(member):
                failures.append((cluster.now, member.name))

    cluster.crash(3)
    took = cluster.wait_until(lambda: bool(failures))
    assert failures[0][1] == "node-3"
    assert took > 2
    cluster.restart(3)
    cluster.wait_until(lambda: cluster[1].status(3) is Status.ALIVE)
    joined = [event for event in cluster[1].events if isinstance(event, MemberJoined)]
    assert [event.member.name for event in joined].count("node-3") == 2


def test_a_handler_may_call_its_node(gossip_cluster: Factory) -> None:
    cluster = gossip_cluster(3)

    @cluster[0].on_event
    def answer(event: Event) -> None:
        if isinstance(event, MessageReceived) and event.payload == b"question":
            cluster[0].send(1, b"answer")

    cluster[1].send(0, b"question")
    cluster.wait_until(
        lambda: any(getattr(event, "payload", b"") == b"answer" for event in cluster[1].events)
    )


def test_what_a_handler_raises_ends_the_run(gossip_cluster: Factory) -> None:
    cluster = gossip_cluster(2)

    @cluster[0].on_event
    def fail(event: Event) -> None:
        if not isinstance(event, MembersSnapshot):
            raise RuntimeError("mine")

    cluster[1].update_meta(b"new")
    with pytest.raises(RuntimeError, match="mine"):
        cluster.advance(10)


def test_waiting_for_what_never_comes_names_the_seed(gossip_cluster: Factory) -> None:
    cluster = gossip_cluster(2)
    with pytest.raises(NotSo, match=f"within 3 s .*seed {cluster.seed}"):
        cluster.wait_until(lambda: False, within=3)
    with pytest.raises(AssertionError):
        cluster.wait_until(lambda: False, within=1)


def test_one_way_blocks_pauses_leaves_and_settings(gossip_cluster: Factory) -> None:
    cluster = gossip_cluster(4, config=Config.local())
    cluster.block([0], [3])
    cluster.advance(20)
    assert cluster[3].is_up
    cluster.heal()
    cluster.pause(2, 0.3)
    cluster[1].leave()
    cluster.wait_until(lambda: cluster[0].status(1) is Status.LEFT)
    cluster.crash(1)
    assert [node.number for node in cluster.living] == [0, 2, 3]
    assert "down" in repr(cluster[1])


def test_two_simulations_of_one_seed_are_the_same() -> None:
    traces = []
    for seed in (5, 5, 6):
        cluster = Simulation(6, seed=seed)
        cluster.start()
        cluster.network(loss=0.2, delay=(0.001, 0.02))
        cluster.advance(30)
        traces.append(cluster.trace)
    assert traces[0] == traces[1] != traces[2]


def test_a_scenario_is_read_and_played() -> None:
    played = scenario.load(SCENARIO)
    assert [step.do for step in played.steps] == ["partition", "heal", "update_meta"]
    text = scenario.run(played, 3)
    assert text == scenario.run(played, 3)
    assert "node-4: " in text
    assert "agreed" in text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("nodes = ", "scenario"),
        ("node = 3", "unknown 'node'"),
        ("[network]", "`nodes` is missing"),
        ("nodes = 3\n[[steps]]\ndo = 'explode'", "no step does 'explode'"),
        ("nodes = 3\n[[steps]]\ndo = 'crash'\nnodes = 1", "crash has no 'nodes'"),
        ("nodes = 0", "1 or more"),
        ("nodes = 3\n[settings]\nspeed = 1", "settings has no 'speed'"),
        ("nodes = 3\n[network]\nspeed = 1", "network has no 'speed'"),
        ("nodes = 3\n[[steps]]\ndo = 'crash'", "crash needs 'node'"),
        ("nodes = 3\n[[steps]]\ndo = 'crash'\nnode = 3", "there is no node 3"),
        ("nodes = 3\n[[steps]]\ndo = 'crash'\nnode = 'x'", "there is no node 'x'"),
        ("nodes = 3\n[[steps]]\ndo = 'partition'\ngroups = [[0], [9]]", "there is no node 9"),
    ],
)
def test_a_scenario_that_cannot_be_played_is_refused(text: str, fault: str) -> None:
    with pytest.raises(scenario.ScenarioError, match=fault):
        scenario.load(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("nodes = 3\n[settings]\nsuspicion_mult = -4", "suspicion_mult: must be"),
        ("nodes = 2\n[expect]\nagreed = false\nwithin = 1", "the nodes agree, and should not"),
    ],
)
def test_the_command_says_in_a_line_what_is_wrong_with_a_scenario(
    text: str, fault: str, tmp_path: Path
) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(text)
    done = CliRunner().invoke(main, ["run", str(path)])
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert fault in done.stderr


def test_the_plug_in_prints_the_seed_of_a_test_that_fails(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = Path(scenario.__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", str(package))
    pytester.makepyfile(
        """
        def test_it(gossip_cluster):
            cluster = gossip_cluster(3)
            cluster.wait_until(lambda: False, within=1)
        """
    )
    run = pytester.runpytest_subprocess("--gossip-seed", "77", "-p", "gossip.sim.plugin")
    run.assert_outcomes(failed=1)
    run.stdout.fnmatch_lines(["*seed 77; again with: pytest *--gossip-seed 77*"])


PAGE = Path(__file__).resolve().parents[2] / "docs" / "simulation.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.M | re.S)


class ShardTable:
    """What the page's first example calls the user's code: the last living node owns all."""

    def __init__(self) -> None:
        self._alive: set[str] = set()

    def handle(self, event: Event) -> None:
        match event:
            case MembersSnapshot(members):
                self._alive = {member.name for member in members}
            case MemberJoined(member):
                self._alive.add(member.name)
            case MemberFailed(member):
                self._alive.discard(member.name)

    def owner(self, shard: str) -> str:
        return max(self._alive)


class MyService:
    """And its second: a server that answers with the version it was told to deploy."""

    def __init__(self, node: SimulatedNode) -> None:
        self._version = b""

    def handle(self, event: Event) -> None:
        match event:
            case UserEvent(payload=version):
                self._version = version
            case QueryReceived():
                event.respond(self._version)


@pytest.mark.parametrize("program", blocks("python"))
def test_the_examples_of_the_page_hold(program: str, gossip_cluster: Factory) -> None:
    names: dict[str, Any] = {"gossip": gossip, "ShardTable": ShardTable, "MyService": MyService}
    exec(program, names)
    (test,) = [value for name, value in names.items() if name.startswith("test_")]
    test(gossip_cluster)


@pytest.mark.parametrize("text", blocks("toml"))
def test_the_scenario_of_the_page_can_be_played(text: str) -> None:
    assert "agreed" in scenario.run(scenario.load(text), 1)


def test_the_scenario_in_the_head_of_its_module_can_be_played() -> None:
    text = str(scenario.__doc__).partition("\n\n")[2]
    assert "node-4 alive" in scenario.run(scenario.load(text), 1)
