"""Partitions of any shape and length heal by themselves, within a stated bound, without a storm."""

from __future__ import annotations

import itertools
import math
import random
from itertools import product

import pytest

from gossip import Config, MemberUpdated, PartitionHealed, Status
from gossip.sim import Simulation

from .clusters import about, all_hold, block, started
from .engine_run import Pool
from .settings import SECOND

KEY = bytes(range(32))
HEAL_INTERVAL = 30


def heal_bound(size: int) -> int:
    """By when a pool that was cut in any way agrees again, with LAN settings, in seconds.

    A suspicion that was under way when the network came back has to end: at most
    suspicion_mult * log10(N) * suspicion_max_timeout_mult probe intervals. Then, or before, a node
    of the smaller side calls: at most one and a half heal intervals; it exchanges states for eight
    probe intervals. What gossip did not carry to all, push/pull does: each node has one in its
    scaled interval, and one for what the first one brought to its partner.
    """
    suspicion = math.ceil(4 * max(1, math.log10(size)) * 6)
    push_pull = 30 * (1 if size <= 32 else math.ceil(math.log2(size) - 5) + 1)
    return suspicion + 3 * HEAL_INTERVAL // 2 + 8 + 2 * push_pull


def agree(cluster: Simulation, within: float) -> None:
    cluster.wait_until(cluster.agreed, within=within, step=0.25)


def lost_each_other(cluster: Simulation, one: range, other: range, status: Status | None) -> bool:
    return all(
        cluster[a].status(b) is cluster[b].status(a) is status for a, b in product(one, other)
    )


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
        end = engine.now + heal_bound(self.size) * SECOND
        while not engine.agreed():
            assert engine.now < end, "not agreed in time"
            self.pool.run(SECOND // 4)

    def assert_no_storm(self) -> None:
        calls = (self.pool.engine.now - self.since) // (HEAL_INTERVAL * SECOND // 2) + 1
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


@pytest.mark.parametrize("minority", [1, 4])
def test_halves_that_have_forgotten_each_other_find_each_other(seed: int, minority: int) -> None:
    cluster = started(8, seed)
    here, there = range(minority), range(minority, 8)
    cluster.partition(here, there)
    cluster.wait_until(lambda: lost_each_other(cluster, here, there, None), within=300)
    cluster.advance(120)
    cluster.heal()
    agree(cluster, heal_bound(8))


def test_without_the_heal_they_would_never(seed: int) -> None:
    cluster = started(6, seed, Config(heal_interval=0))
    here, there = range(3), range(3, 6)
    cluster.partition(here, there)
    cluster.wait_until(lambda: lost_each_other(cluster, here, there, None), within=300)
    cluster.heal()
    cluster.advance(600)
    assert lost_each_other(cluster, here, there, None)


def test_an_encrypted_pool_heals(seed: int) -> None:
    cluster = started(6, seed, Config(key=KEY, label="prod"))
    cluster.partition(range(2), range(2, 6))
    cluster.advance(120)
    cluster.heal()
    agree(cluster, heal_bound(6))


@pytest.mark.parametrize("only", ["", "udp", "tcp"])
def test_a_split_in_one_direction_heals(seed: int, only: str) -> None:
    cluster = started(8, seed)
    block(cluster, range(3), range(3, 8), only=only)
    cluster.advance(90)
    cluster.heal()
    agree(cluster, heal_bound(8))


def test_both_sides_are_told_once_who_was_lost_and_who_is_back(seed: int) -> None:
    cluster = started(8, seed)
    here, there = range(4), range(4, 8)
    cluster.partition(here, there)
    cluster.wait_until(lambda: lost_each_other(cluster, here, there, None), within=300)
    cluster.heal()
    agree(cluster, heal_bound(8))
    cluster.advance(15)
    for side, other in ((here, there), (there, here)):
        for number in side:
            told = [each for each in cluster[number].events if isinstance(each, PartitionHealed)]
            back = {name for event in told for name in event.regained}
            assert back == {f"node-{far}" for far in other}
            assert len(told) <= 2, "a return that comes late is told on its own"


def test_one_that_died_meanwhile_does_not_keep_the_others_from_healing(seed: int) -> None:
    cluster = started(8, seed)
    cluster.partition(range(4), range(4, 8))
    cluster.advance(60)
    cluster.crash(4)
    cluster.advance(120)
    cluster.heal()
    # A call may find the dead one; the next is a call later.
    agree(cluster, heal_bound(8) + 3 * HEAL_INTERVAL)


def test_one_that_left_meanwhile_is_called_no_more(seed: int) -> None:
    """As long as its side remembers that it left: memberlist forgets both the dead and the left."""
    cluster = started(6, seed, Config(gossip_to_the_dead_time=600.0))
    cluster.partition(range(3), range(3, 6))
    cluster.advance(60)
    cluster[3].leave()
    # All four copies of the word may go to the other side: then a push/pull brings it.
    cluster.wait_until(lambda: all_hold(cluster.nodes[4:], 3, Status.LEFT), within=120)
    cluster.crash(3)
    cluster.heal()
    agree(cluster, heal_bound(6) + 3 * HEAL_INTERVAL)
    cluster.advance(180)
    before = [node.stats()["heal_calls"] for node in cluster.living]
    cluster.advance(600)
    assert [node.stats()["heal_calls"] for node in cluster.living] == before


def test_a_node_whose_ghost_is_dead_at_a_higher_incarnation_comes_back(seed: int) -> None:
    """Its clock went back by a year while it was down, and it has no seed: the others call it."""
    cluster = started(5, seed)
    cluster.crash(0)
    others = cluster.living
    cluster.wait_until(lambda: all_hold(others, 0, Status.FAILED), within=90)
    cluster[0].start(clock=cluster.clock - 365 * 86_400)
    swims = cluster.pool.swims
    assert swims[0].incarnation < swims[1].incarnation - 30_000_000
    agree(cluster, heal_bound(5) + 3 * HEAL_INTERVAL)


def test_a_restarted_run_supersedes_its_own_ghost_at_once(seed: int) -> None:
    """One call of one seed, and all know it by what it says now: no round of refutations."""
    cluster = started(5, seed)
    for number in range(5):
        cluster[0].update_meta(b"update %d" % number)
        cluster.advance(2)
    cluster.crash(0)
    others = cluster.living
    cluster.wait_until(lambda: all_hold(others, 0, Status.FAILED), within=90)
    assert len(about(cluster[1], MemberUpdated, 0)) == 5
    cluster[0].start(meta=b"new")
    cluster[0].join(1)
    took = cluster.wait_until(lambda: cluster[1].status(0) is Status.ALIVE, within=5, step=0.01)
    assert took < 0.2
    agree(cluster, 60)
    assert cluster[0].stats()["refutations"] == 0
