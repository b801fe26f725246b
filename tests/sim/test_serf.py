"""Pools of Serf nodes, in virtual time and for each seed: what one says reaches all, once.

The rules of `gossip/sim/checks.pxi` and `serf_checks.pxi` are checked at every entry of every node.
What users see of such a cluster is tested in test_simulation_serf.py.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from gossip import (
    Event,
    MemberFailed,
    MemberLeft,
    MemberReaped,
    NodeConfig,
    QueryAck,
    QueryReceived,
    QueryResponse,
    Status,
    UserEvent,
)
from gossip.sim import SimulatedNode, Simulation

from .clusters import about, all_hold, block, false_alarms, started

KEY = bytes(range(16))


def pool(size: int, seed: int, **changes: Any) -> Simulation:
    return started(size, seed, NodeConfig(key=KEY, **changes))


def statuses(node: SimulatedNode) -> dict[str, str]:
    return {member.name: str(member.status) for member in node.members()}


def payloads(node: SimulatedNode) -> Counter[bytes]:
    return Counter(event.payload for event in node.heard())


def test_an_event_reaches_every_member_exactly_once(seed: int) -> None:
    cluster = pool(12, seed)
    cluster.pool.engine.network(loss=0.05, duplicates=0.05, replays=0.05, pieces=True)
    for node in cluster.nodes:
        node.send_event("deploy", b"from " + node.name.encode(), coalesce=False)
    cluster.wait_until(cluster.delivered, within=60)
    cluster.advance(70)  # replays, and a push/pull of each with somebody
    everybody = Counter(b"from node-%d" % number for number in range(12))
    for node in cluster.nodes:
        assert payloads(node) == everybody


def test_200_events_a_second_for_10_seconds_reach_all_of_a_pool_of_8_once(seed: int) -> None:
    cluster = pool(8, seed)
    cluster.network(loss=0.01)
    for number in range(2000):
        cluster[0].send_event("refresh", b"%064d" % number, coalesce=False)
        cluster.advance(0.005)
    cluster.advance(5)
    missed = sum(2000 - len(payloads(node)) for node in cluster.nodes)
    assert missed <= 20, f"{missed} of 16,000 did not come by gossip"
    cluster.wait_until(cluster.delivered, within=100)  # by push/pull, to the last one and once
    assert not false_alarms(cluster)


def test_an_event_that_a_node_missed_comes_with_a_push_pull(seed: int) -> None:
    cluster = pool(3, seed)
    block(cluster, [0, 1], [2], only="udp")
    cluster[0].send_event("missed", b"x")
    cluster.advance(5)
    assert not payloads(cluster[2])
    cluster.heal()
    cluster.wait_until(cluster.delivered, within=200)
    assert list(cluster[2].heard()) == [UserEvent("missed", b"x", 1, False)]


def test_a_graceful_leave_is_seen_as_left_and_an_abrupt_one_as_failed(seed: int) -> None:
    cluster = pool(6, seed)
    call = cluster[0].leave()
    cluster.wait_until(lambda: call.over, within=30)
    cluster.crash(0)
    cluster.crash(1)
    others = cluster.living
    expected = {node.name: "alive" for node in others} | {"node-0": "left", "node-1": "failed"}
    cluster.wait_until(lambda: all(statuses(node) == expected for node in others), within=120)
    for node in others:
        assert [event.member.name for event in about(node, MemberLeft)] == ["node-0"]
        assert [event.member.name for event in about(node, MemberFailed)] == ["node-1"]


def test_a_memberlist_leave_without_the_intent_is_seen_as_failed(seed: int) -> None:
    cluster = pool(4, seed)
    cluster.pool.swims[0].leave(cluster.pool.engine.clock(0))
    cluster.pool.engine.touch(0, leaving=True)
    cluster.wait_until(lambda: all_hold(cluster.nodes[1:], 0, Status.FAILED), within=30)


def test_a_query_is_answered_by_all_and_ends_as_soon_as_it_is(seed: int) -> None:
    cluster = pool(10, seed)
    cluster.network(loss=0.02)
    for node in cluster.nodes:

        @node.on_event
        def answer(event: Event, name: bytes = node.name.encode()) -> None:
            if isinstance(event, QueryReceived):
                event.respond(b"I am " + name)

    query = cluster[3].query("uptime", ack=True, relay_factor=3, timeout=60)
    took = cluster.wait_until(lambda: query.over, within=60)
    assert query.early
    assert took < 10
    cluster.advance(5)
    answers = list(query)
    names = [node.name for node in cluster.nodes]
    assert sorted(each.node for each in answers if isinstance(each, QueryResponse)) == names
    acks = Counter(each.node for each in answers if isinstance(each, QueryAck))
    assert max(acks.values()) == 1, "some are not there: a response may overtake its ack"
    assert acks.keys() <= set(names)
    for node in cluster.nodes:
        assert sum(isinstance(event, QueryReceived) for event in node.events) == 1


def test_a_query_does_not_wait_for_a_member_that_dies_before_it_answers(seed: int) -> None:
    cluster = pool(5, seed)
    cluster.crash(1)
    query = cluster[0].query("_serf_ping", timeout=300)
    took = cluster.wait_until(lambda: query.over, within=120)
    assert query.early
    assert took >= 1, "until the victim was found dead"
    assert query.acks() == {node.name for node in cluster.living}


def test_a_false_word_of_a_leave_is_refuted_everywhere(seed: int) -> None:
    cluster = pool(6, seed)
    cluster[0].force_leave(1)
    assert cluster[0].status(1) is Status.LEAVING
    cluster.wait_until(lambda: cluster[1].stats()["refutations"] > 0, within=10)
    cluster.wait_until(lambda: all_hold(cluster.nodes, 1, Status.ALIVE), within=30)
    cluster.advance(10)
    assert all_hold(cluster.nodes, 1, Status.ALIVE)
    assert not any(about(node, MemberLeft) for node in cluster.nodes)


def test_a_failed_member_is_pruned_everywhere_by_one_word(seed: int) -> None:
    cluster = pool(6, seed)
    cluster.crash(1)
    rest = cluster.living
    cluster.wait_until(lambda: all_hold(rest, 1, Status.FAILED), within=60)
    cluster[0].force_leave(1, prune=True)
    cluster.wait_until(lambda: all_hold(rest, 1, None), within=30)
    for node in rest:
        assert [event.member.name for event in about(node, MemberReaped)] == ["node-1"]


def test_who_was_gone_for_long_is_reaped(seed: int) -> None:
    cluster = pool(4, seed, reap_interval=1.0, reconnect_timeout=60.0, tombstone_timeout=30.0)
    call = cluster[0].leave()
    cluster.wait_until(lambda: call.over, within=30)
    cluster.crash(0)
    cluster.crash(1)
    rest = cluster.living
    names = {node.name for node in rest}
    cluster.wait_until(lambda: all(set(statuses(node)) == names for node in rest), within=200)


def but_the_last(size: int, seed: int) -> Simulation:
    """A cluster whose last node is not started yet."""
    cluster = Simulation(size, seed=seed, config=NodeConfig(key=KEY))
    for node in cluster.nodes[:-1]:
        node.start()
        if node.number:
            node.join(0)
    cluster.wait_until(cluster.agreed, within=300)
    return cluster


def test_an_intent_that_comes_before_its_member_is_kept_for_it(seed: int) -> None:
    cluster = but_the_last(5, seed)
    known = cluster.nodes[:4]
    ltime = cluster.pool.layers[0].serf.clocks()[0]
    cluster[0].force_leave("node-4")
    cluster.advance(3)
    for number in range(4):
        kept = cluster.pool.layers[number].serf.recent_intent(b"node-4")
        assert kept == ("leave", ltime)
    cluster[4].start()
    # As a driver does whose node is called by others and joins nobody by itself.
    core, now = cluster.pool.swims[4], cluster.pool.engine.clock(4)
    core.join(cluster.pool.addresses[0], 7946, b"", now)
    cluster.pool.engine.touch(4)
    cluster.wait_until(lambda: all_hold(known, 4, Status.LEAVING), within=10)
    cluster[4].join(0)
    cluster.wait_until(lambda: all_hold(known, 4, Status.ALIVE), within=60)


@pytest.mark.parametrize("replay", [False, True])
def test_a_newcomer_hears_of_old_events_only_if_it_asks_for_them(seed: int, replay: bool) -> None:
    cluster = but_the_last(4, seed)
    cluster[0].send_event("old")
    cluster.advance(5)
    cluster[3].start()
    cluster[3].join(0, replay=replay)
    cluster.advance(70)
    assert [event.name for event in cluster[3].heard()] == (["old"] if replay else [])
    cluster[0].send_event("new")
    cluster.wait_until(cluster.delivered, within=60)
    assert [event.name for event in cluster[3].heard()][-1] == "new"


def test_the_lamport_clocks_of_a_pool_draw_level(seed: int) -> None:
    cluster = pool(6, seed)
    for node in cluster.nodes:
        for _ in range(3):
            node.send_event("e", node.name.encode())
        node.query("q")
    cluster.advance(70)
    clocks = {layer.serf.clocks() for layer in cluster.pool.layers.values()}
    assert len(clocks) == 1
    assert min(min(clock[1:]) for clock in clocks) > 1
