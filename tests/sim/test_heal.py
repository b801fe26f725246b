"""Partitions of any shape and length heal by themselves, within a stated bound, without a storm."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence
from typing import Any

import pytest

from tests.sim.cluster import Cluster, Node
from tests.sim.engine_run import Pool
from tests.sim.settings import MILLISECOND, SECOND

KEY = bytes(range(32))
WALL = 1_790_000_000
HEAL_INTERVAL = 30 * SECOND


def heal_bound(size: int) -> int:
    """By when a pool that was cut in any way agrees again, with LAN settings.

    A suspicion that was under way when the network came back has to end: at most
    suspicion_mult * log10(N) * suspicion_max_timeout_mult probe intervals. Then, or before, a node
    of the smaller side calls: at most one and a half heal intervals; it exchanges states for eight
    probe intervals. What gossip did not carry to all, push/pull does: each node has one in its
    scaled interval, and one for what the first one brought to its partner.
    """
    suspicion = math.ceil(4 * max(1, math.log10(size)) * 6) * SECOND
    push_pull = 30 * SECOND * (1 if size <= 32 else math.ceil(math.log2(size) - 5) + 1)
    return suspicion + 3 * HEAL_INTERVAL // 2 + 8 * SECOND + 2 * push_pull


def agree(cluster: Cluster, limit_ns: int) -> None:
    """Run until all agree; they are asked four times a second, for asking takes its time."""
    end = cluster.network.now + limit_ns
    while not cluster.converged():
        assert cluster.network.now < end, f"not agreed in time: {cluster.views()}"
        cluster.run(SECOND // 4)


def started(size: int, seed: int, **changes: Any) -> Cluster:
    cluster = Cluster(size, seed, wall=WALL, **changes)
    cluster.start()
    agree(cluster, 300 * SECOND)
    return cluster


def split(cluster: Cluster, parts: int, rng: random.Random) -> list[list[Node]]:
    """Any cut into so many parts, none empty."""
    nodes = rng.sample(cluster.nodes, len(cluster.nodes))
    cuts = [0, *sorted(rng.sample(range(1, len(nodes)), parts - 1)), len(nodes)]
    return [nodes[a:b] for a, b in itertools.pairwise(cuts)]


def cut_and_heal(cluster: Cluster, groups: Sequence[Sequence[Node]], duration: int) -> None:
    cluster.network.partition(*groups)
    cluster.run(duration)
    cluster.network.heal()
    agree(cluster, heal_bound(len(cluster.nodes)))


def assert_no_storm(cluster: Cluster, since: int) -> None:
    """One call in half an interval at most, and four exchanges of state after an answer."""
    for node in cluster.nodes:
        stats = node.swim.stats()
        calls = (cluster.network.now - since) // (HEAL_INTERVAL // 2) + 1
        assert stats["heal_calls"] <= calls + 4 * stats["heal_answers"]


def lost_each_other(one: Sequence[Node], other: Sequence[Node], state: str) -> bool:
    return all(a.state_of(b) == b.state_of(a) == state for a in one for b in other)


class Splits:
    """A pool on the engine, its sides, and how soon it agrees after the cut."""

    def __init__(self, size: int, seed: int) -> None:
        self.pool = Pool(size, seed)
        self.size = size
        self.since = self.pool.engine.now

    def cut(self, parts: int, rng: random.Random, *, one_way: bool) -> None:
        """Any cut into so many sides, none empty; `one_way`, and each later side still hears the
        earlier ones."""
        engine = self.pool.engine
        order = rng.sample(range(self.size), self.size)
        cuts = [0, *sorted(rng.sample(range(1, self.size), parts - 1)), self.size]
        for side, (start, end) in enumerate(itertools.pairwise(cuts)):
            for number in order[start:end]:
                engine.side(number, side)
        for one, other in itertools.permutations(range(parts), 2):
            if not one_way or one > other:
                engine.cut(one, other)

    def heal(self) -> None:
        engine = self.pool.engine
        engine.heal()
        end = engine.now + heal_bound(self.size)
        while not engine.agreed():
            assert engine.now < end, "not agreed in time"
            self.pool.run(SECOND // 4)

    def assert_no_storm(self) -> None:
        calls = (self.pool.engine.now - self.since) // (HEAL_INTERVAL // 2) + 1
        for swim in self.pool.swims:
            stats = swim.stats()
            assert stats["heal_calls"] <= calls + 4 * stats["heal_answers"]


def test_every_random_split_heals_within_the_bound(seed: int) -> None:
    """4 to 64 nodes, 2 sides to as many as there are nodes, for 1 second to 2 hours."""
    rng = random.Random(seed)
    splits = Splits(rng.randint(4, 64), seed)
    parts = rng.choice([2, 2, 2, 3, 4, splits.size])
    splits.cut(parts, rng, one_way=rng.random() < 0.2)
    splits.pool.run(int(math.exp(rng.uniform(0, math.log(7200))) * SECOND))
    splits.heal()
    splits.assert_no_storm()


@pytest.mark.parametrize(("size", "seconds"), [(4, 1), (4, 7200), (64, 1), (64, 600)])
def test_the_smallest_and_the_largest_heal(size: int, seconds: int) -> None:
    splits = Splits(size, 1)
    splits.cut(2, random.Random(1), one_way=False)
    splits.pool.run(seconds * SECOND)
    splits.heal()
    splits.assert_no_storm()


def test_a_random_split_breaks_no_rule_at_any_step(seed: int) -> None:
    rng = random.Random(seed)
    duration = math.exp(rng.uniform(0, math.log(300)))
    cluster = started(rng.randint(4, max(4, int(600 / duration)) if duration > 30 else 20), seed)
    since = cluster.network.now
    parts = rng.choice([2, 2, 2, 3, 4])
    cut_and_heal(cluster, split(cluster, parts, rng), int(duration * SECOND))
    assert_no_storm(cluster, since)


@pytest.mark.parametrize("minority", [1, 4])
def test_halves_that_have_forgotten_each_other_find_each_other(seed: int, minority: int) -> None:
    cluster = started(8, seed)
    here, there = cluster.nodes[:minority], cluster.nodes[minority:]
    cluster.network.partition(here, there)
    cluster.run_until(lambda: lost_each_other(here, there, "unknown"), 300 * SECOND)
    cluster.run(120 * SECOND)
    cluster.network.heal()
    agree(cluster, heal_bound(8))


def test_without_the_heal_they_would_never(seed: int) -> None:
    cluster = started(6, seed, heal_interval_ns=0)
    here, there = cluster.nodes[:3], cluster.nodes[3:]
    cluster.network.partition(here, there)
    cluster.run_until(lambda: lost_each_other(here, there, "unknown"), 300 * SECOND)
    cluster.network.heal()
    cluster.run(600 * SECOND)
    assert lost_each_other(here, there, "unknown")


def test_an_encrypted_pool_heals(seed: int) -> None:
    cluster = started(6, seed, keys=[KEY], label=b"prod")
    cut_and_heal(cluster, [cluster.nodes[:2], cluster.nodes[2:]], 120 * SECOND)


@pytest.mark.parametrize("only", ["", "udp", "tcp"])
def test_a_split_in_one_direction_heals(seed: int, only: str) -> None:
    cluster = started(8, seed)
    here, there = cluster.nodes[:3], cluster.nodes[3:]
    cluster.network.block(here, there, only=only)
    cluster.run(90 * SECOND)
    cluster.network.heal()
    agree(cluster, heal_bound(8))


def test_both_sides_are_told_once_who_was_lost_and_who_is_back(seed: int) -> None:
    cluster = started(8, seed)
    here, there = cluster.nodes[:4], cluster.nodes[4:]
    cluster.network.partition(here, there)
    cluster.run_until(lambda: lost_each_other(here, there, "unknown"), 300 * SECOND)
    cluster.network.heal()
    agree(cluster, heal_bound(8))
    cluster.run(15 * SECOND)
    for side, other in ((here, there), (there, here)):
        for node in side:
            told = [event for _, event in node.events if event[0] == "healed"]
            assert {name for event in told for name in event[2]} == {far.name for far in other}
            assert len(told) <= 2, "a return that comes late is told on its own"


def test_one_that_died_meanwhile_does_not_keep_the_others_from_healing(seed: int) -> None:
    cluster = started(8, seed)
    here, there = cluster.nodes[:4], cluster.nodes[4:]
    cluster.network.partition(here, there)
    cluster.run(60 * SECOND)
    there[0].kill()
    cluster.run(120 * SECOND)
    cluster.network.heal()
    # A call may find the dead one; the next is a call later.
    agree(cluster, heal_bound(8) + 3 * HEAL_INTERVAL)


def test_one_that_left_meanwhile_is_called_no_more(seed: int) -> None:
    """As long as its side remembers that it left: memberlist forgets both the dead and the left."""
    cluster = started(6, seed, gossip_to_the_dead_time_ns=600 * SECOND)
    here, there = cluster.nodes[:3], cluster.nodes[3:]
    cluster.network.partition(here, there)
    cluster.run(60 * SECOND)
    there[0].leave()
    cluster.run(20 * SECOND)
    there[0].kill()
    cluster.network.heal()
    agree(cluster, heal_bound(6) + 3 * HEAL_INTERVAL)
    cluster.run(180 * SECOND)
    before = [node.swim.stats()["heal_calls"] for node in cluster.living]
    cluster.run(600 * SECOND)
    assert [node.swim.stats()["heal_calls"] for node in cluster.living] == before


def test_a_node_whose_ghost_is_dead_at_a_higher_incarnation_comes_back(seed: int) -> None:
    """Its clock went back by a year while it was down, and it has no seed: the others call it."""
    cluster = started(5, seed)
    ghost, *others = cluster.nodes
    ghost.kill()
    cluster.run_until(lambda: all(each.state_of(ghost) == "dead" for each in others), 90 * SECOND)
    ghost.clock_error = -365 * 86_400
    ghost.start()
    assert ghost.swim.incarnation < others[0].swim.incarnation - 30_000_000
    agree(cluster, heal_bound(5) + 3 * HEAL_INTERVAL)


def test_a_restarted_run_supersedes_its_own_ghost_at_once(seed: int) -> None:
    """One call of one seed, and all know it by what it says now: no round of refutations."""
    cluster = started(5, seed)
    again, *others = cluster.nodes
    for number in range(5):
        again.update(b"update %d" % number)
        cluster.run(2 * SECOND)
    again.kill()
    cluster.run_until(lambda: all(each.state_of(again) == "dead" for each in others), 90 * SECOND)
    again.meta = b"new"
    again.start()
    again.join(others[0])
    took = cluster.run_until(lambda: others[0].state_of(again) == "alive", 5 * SECOND)
    assert took < 200 * MILLISECOND
    agree(cluster, 60 * SECOND)
    assert again.swim.stats()["refutations"] == 0
