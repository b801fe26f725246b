"""What a cluster bears: loss, silence one way, partitions, stops, and all of it at once."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.sim.cluster import Cluster, Node
from tests.sim.network import Faults
from tests.sim.settings import MILLISECOND, SECOND


def started(size: int, seed: int, **changes: Any) -> Cluster:
    cluster = Cluster(size, seed, **changes)
    cluster.start()
    cluster.run_until(cluster.converged, 100 * SECOND)
    return cluster


def test_light_loss_kills_nobody(seed: int) -> None:
    cluster = started(10, seed)
    cluster.network.faults = Faults(loss=0.1, duplicates=0.05)
    cluster.run(180 * SECOND)
    assert not [event for _, event in cluster.false_alarms() if event[0] == "failed"]
    cluster.network.faults = Faults()
    cluster.run_until(cluster.converged, 60 * SECOND)


def test_heavy_loss_is_borne_with_the_help_of_tcp(seed: int) -> None:
    cluster = started(6, seed)
    cluster.network.faults = Faults(loss=0.4)
    cluster.run(120 * SECOND)
    assert not [event for _, event in cluster.false_alarms() if event[0] == "failed"]


def test_udp_lost_but_tcp_open_keeps_a_member_alive(seed: int) -> None:
    cluster = started(4, seed)
    mute, *others = cluster.nodes
    cluster.network.block([mute], others, only="udp")
    cluster.network.block(others, [mute], only="udp")
    cluster.run(120 * SECOND)
    assert cluster.false_alarms() == []
    assert all(node.swim.stats()["probes_saved_by_tcp"] for node in others)


def test_a_pair_that_cannot_hear_each_other_is_saved_by_its_helpers(seed: int) -> None:
    cluster = started(5, seed)
    one, other = cluster.nodes[:2]
    cluster.network.block([one], [other])
    cluster.network.block([other], [one])
    cluster.run(120 * SECOND)
    assert cluster.false_alarms() == []
    assert one.swim.stats()["probes_indirect"] > 0


def test_one_deaf_direction_is_saved_by_helpers_too(seed: int) -> None:
    cluster = started(5, seed)
    one, other = cluster.nodes[:2]
    cluster.network.block([one], [other])
    cluster.run(120 * SECOND)
    assert cluster.false_alarms() == []


def test_slow_packets_within_the_probe_timeout_are_no_reason_to_suspect(seed: int) -> None:
    cluster = started(5, seed)
    slow = Faults(delay_min_ns=100 * MILLISECOND, delay_max_ns=240 * MILLISECOND)
    cluster.network.faults = slow
    cluster.run(120 * SECOND)
    assert cluster.false_alarms() == []


@pytest.mark.parametrize("minority", [1, 3])
def test_a_partition_is_seen_and_heals_by_itself(seed: int, minority: int) -> None:
    """It heals within the time the dead are gossiped to, so no new join is needed."""
    cluster = started(7, seed)
    here, there = cluster.nodes[:minority], cluster.nodes[minority:]
    cluster.network.partition(here, there)
    cluster.run_until(
        lambda: all(node.state_of(other) == "dead" for node in there for other in here), 60 * SECOND
    )
    assert all(node.state_of(other) == "alive" for node in there for other in there)
    cluster.network.heal()
    cluster.run_until(cluster.converged, 90 * SECOND)


@pytest.mark.parametrize("seconds", [5, 15])
def test_a_node_that_stands_still_accuses_nobody_when_it_wakes(seed: int, seconds: int) -> None:
    cluster = started(6, seed)
    cluster.run(10 * SECOND)
    sleeper, *others = cluster.nodes
    sleeper.freeze(seconds * SECOND)
    cluster.run(seconds * SECOND + 90 * SECOND)
    assert not sleeper.seen("failed")
    assert cluster.converged()
    assert all(not node.seen("failed", other) for node in others for other in others)


def test_a_short_stop_is_refuted(seed: int) -> None:
    cluster = started(6, seed)
    sleeper, *others = cluster.nodes
    sleeper.freeze(3 * SECOND)
    cluster.run(60 * SECOND)
    # A refutation goes out in four packets from each who has it (protocol §14), to random members.
    # By chance one of the five gets none: in 27 of 1,500 runs, and in none did two. What it says
    # then is of an old incarnation, which nobody believes, and a push/pull puts it right.
    missed = [node for node in others if node.seen("failed", sleeper)]
    assert len(missed) <= 1
    assert cluster.converged()


def test_broken_streams_delay_a_join_but_the_next_one_succeeds(seed: int) -> None:
    cluster = Cluster(3, seed, faults=Faults(resets=0.5))
    for node in cluster.nodes:
        node.start()
    first, *others = cluster.nodes
    for _ in range(20):
        for node in others:
            node.join(first)
        cluster.run(SECOND)
    answers = [event for node in others for _, event in node.events if event[0] == "done"]
    assert {event[2] is None for event in answers} == {True, False}
    cluster.run_until(cluster.converged, 10 * SECOND)


def test_every_request_is_answered_once_whatever_the_streams_do(seed: int) -> None:
    faults = Faults(resets=0.3, delay_max_ns=SECOND)
    cluster = Cluster(4, seed, faults=faults, push_pull_interval_ns=0, disable_tcp_pings=1)
    for node in cluster.nodes:
        node.start()
    asked: dict[Node, list[int]] = {node: [] for node in cluster.nodes}
    for _ in range(10):
        for node in cluster.nodes:
            asked[node] += node.join(*[other for other in cluster.nodes if other is not node])
        cluster.run(2 * SECOND)
    cluster.run(30 * SECOND)
    for node, requests in asked.items():
        done = [event[1] for _, event in node.events if event[0] == "done"]
        assert sorted(done) == sorted(requests)
        assert node.swim.stats()["streams_open"] == 0


# All at once.


class Chaos:
    """Random faults by the seed; every act leaves the cluster able to recover."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self.cluster = cluster
        self.random = random.Random(seed)
        self.updates = 0

    def act(self) -> None:
        living = [node for node in self.cluster.living if not node.frozen]
        dead = [node for node in self.cluster.nodes if not node.up]
        match self.random.randrange(8):
            case 0 if len(living) > 3:
                self.random.choice(living).kill()
            case 1 if dead and living:
                self.revive(self.random.choice(dead), living)
            case 2 if living:
                self.updates += 1
                self.random.choice(living).update(b"%d" % self.updates)
            case 3 if living:
                self.random.choice(living).freeze(self.random.randint(1, 12) * SECOND)
            case 4:
                self.split()
            case 5:
                self.cluster.network.heal()
            case 6:
                self.cluster.network.faults = Faults(
                    loss=self.random.choice([0, 0.05, 0.3]), duplicates=0.1, replays=0.05,
                    resets=self.random.choice([0, 0.2]),
                    delay_max_ns=self.random.choice([2, 50, 400]) * MILLISECOND,
                )  # fmt: skip
            case _ if living:
                self.random.choice(living).broadcast(b"noise")

    def revive(self, node: Node, living: list[Node]) -> None:
        node.meta = b"life %d" % node.lives
        node.start()
        node.join(*self.random.sample(living, min(2, len(living))))

    def split(self) -> None:
        nodes = self.random.sample(self.cluster.nodes, len(self.cluster.nodes))
        cut = self.random.randint(1, len(nodes) - 1)
        only = self.random.choice(["", "udp", "tcp"])
        self.cluster.network.block(nodes[:cut], nodes[cut:], only=only)
        if self.random.random() < 0.5:
            self.cluster.network.block(nodes[cut:], nodes[:cut], only=only)


def test_after_any_chaos_the_living_agree_again(seed: int) -> None:
    cluster = started(7, seed)
    chaos = Chaos(cluster, seed)
    for _ in range(40):
        chaos.act()
        cluster.run(chaos.random.randint(100, 6_000) * MILLISECOND)
    cluster.network.heal()
    cluster.network.faults = Faults()
    cluster.run(15 * SECOND)
    first, *others = cluster.living
    for node in others:
        node.join(first)
    cluster.run_until(cluster.converged, 150 * SECOND)
