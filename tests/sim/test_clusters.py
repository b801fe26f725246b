"""Clusters of production cores in virtual time: joining, spreading, failing, leaving.

No test here knows when packets are sent; each says what must be so by when. The rules of
`gossip/sim/checks.pxi` are checked at every entry of every node of every run.
"""

from __future__ import annotations

import pytest

from gossip import (
    Config,
    MemberFailed,
    MemberLeft,
    MemberSuspected,
    MemberUpdated,
    MessageReceived,
    NameConflict,
    Status,
)
from gossip.sim import Simulation

from .clusters import about, all_hold, boot, false_alarms, started

KEY = bytes(range(32))


def detection_bound(cluster: Simulation) -> int:
    """By when a death is known to all: probed within two rounds, then the longest suspicion."""
    return 2 * len(cluster) + 8 + 30


def test_the_same_seed_gives_the_same_run_byte_for_byte(seed: int) -> None:
    def run(number: int) -> str:
        cluster = Simulation(5, seed=number, config=Config(key=KEY))
        cluster.pool.engine.network(loss=0.1, duplicates=0.1, replays=0.02, resets=0.1, pieces=True)
        boot(cluster)
        cluster.advance(40)
        return cluster.trace

    assert run(seed) == run(seed)
    assert run(seed) != run(seed + 1)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 24])
def test_a_cluster_converges_soon_after_its_joins(size: int, seed: int) -> None:
    cluster = started(size, seed)
    assert not any(about(node, MemberFailed) for node in cluster.nodes)


def test_a_pool_left_alone_for_five_minutes_has_not_one_suspicion(seed: int) -> None:
    cluster = started(6, seed)
    cluster.advance(300)
    assert false_alarms(cluster) == []
    assert cluster.agreed()
    assert {node.health_score for node in cluster.nodes} == {0}


def test_sealed_and_labelled_nodes_are_a_pool_like_any_other(seed: int) -> None:
    cluster = started(5, seed, Config(key=KEY, label="prod"))
    cluster.advance(60)
    assert false_alarms(cluster) == []
    assert cluster.agreed()


@pytest.mark.parametrize("config", [Config(bind="[::1]:7946"), Config(protocol_version=1, key=KEY)])
def test_a_pool_on_ipv6_or_of_protocol_one_is_a_pool_like_any_other(
    seed: int, config: Config
) -> None:
    cluster = started(4, seed, config)
    cluster.advance(30)
    assert false_alarms(cluster) == []
    cluster[0].leave()
    cluster.advance(5)
    assert all_hold(cluster.nodes, 0, Status.LEFT)
    assert (":" in cluster[0].members()[0].address.host) == (config.bind == "[::1]:7946")


def test_an_update_reaches_everybody_within_two_seconds(seed: int) -> None:
    cluster = started(20, seed)
    cluster.advance(30)
    cluster[7].update_meta(b"second")
    cluster.wait_until(cluster.agreed, within=2)
    assert all(len(about(node, MemberUpdated, 7)) == 1 for node in cluster.nodes)


def test_a_kill_is_suspected_then_failed_everywhere_and_nobody_else_is(seed: int) -> None:
    cluster = started(8, seed)
    cluster.crash(0)
    others = cluster.living
    cluster.wait_until(lambda: all_hold(others, 0, Status.FAILED), within=detection_bound(cluster))
    for node in others:
        (failed,) = about(node, MemberFailed)
        assert failed.member.name == "node-0"
        assert node.events.index(about(node, MemberSuspected, 0)[0]) < node.events.index(failed)
    cluster.wait_until(cluster.agreed, within=10)


def test_the_dead_are_forgotten_after_their_time(seed: int) -> None:
    cluster = started(5, seed)
    cluster.crash(0)
    cluster.advance(detection_bound(cluster) + 60)
    assert all_hold(cluster.living, 0, None)


def test_a_leave_is_seen_as_left_by_all_and_as_failed_by_none(seed: int) -> None:
    cluster = started(8, seed)
    cluster.advance(20)
    call = cluster[0].leave()
    cluster.wait_until(lambda: call.over, within=3)
    cluster.crash(0)
    cluster.advance(60)
    for node in cluster.living:
        assert len(about(node, MemberLeft, 0)) == 1
        assert not about(node, MemberFailed)
    assert cluster.agreed()


def test_a_node_that_restarts_at_its_address_is_back_with_a_newer_incarnation(seed: int) -> None:
    cluster = started(5, seed, clock=0)
    cluster.crash(0)
    others = cluster.living
    cluster.wait_until(lambda: all_hold(others, 0, Status.FAILED), within=detection_bound(cluster))
    cluster[0].start(clock=0, meta=b"second life")
    cluster[0].join(1)
    cluster.wait_until(cluster.agreed, within=100)  # whom gossip misses a push/pull reaches
    assert cluster.pool.swims[0].incarnation > 1


def test_a_node_that_restarts_before_anybody_noticed_replaces_itself(seed: int) -> None:
    cluster = started(5, seed, clock=0)
    cluster.crash(0)
    cluster.advance(0.5)
    cluster[0].start(clock=0, meta=b"second life")
    cluster[0].join(1)
    cluster.wait_until(cluster.agreed, within=10)
    assert not any(about(node, MemberFailed) for node in cluster.nodes)


def test_user_messages_arrive_once_and_reliable_ones_always(seed: int) -> None:
    cluster = started(3, seed)
    cluster[0].send(1, b"datagram")
    cluster[0].send(1, b"stream" * 10_000, reliable=True)
    cluster.advance(1)
    got = [event.payload for event in cluster[1].events if isinstance(event, MessageReceived)]
    assert sorted(got) == [b"datagram", b"stream" * 10_000]


def test_a_user_broadcast_is_sent_to_its_limit_and_not_passed_on(seed: int) -> None:
    """Passing on is the application's business, as in memberlist: Serf's layer does it."""
    cluster = started(20, seed)
    cluster.advance(20)
    cluster[0].broadcast(b"to some")
    cluster.advance(5)
    got = [each for node in cluster.nodes for each in node.events if type(each) is MessageReceived]
    assert len(got) == 8


def test_two_nodes_of_one_name_are_one_conflict_and_no_flapping(seed: int) -> None:
    cluster = started(5, seed)
    cluster.advance(10)
    cluster.crash(4)
    cluster.advance(120)
    pool = cluster.pool
    pool.run_core(4, pool.core(4, b"node-1"))
    pool.join(4, 0)
    cluster.advance(30)
    assert [event for event in cluster[0].events if isinstance(event, NameConflict)]
    for node in cluster.nodes[:4]:
        assert sum(isinstance(event, NameConflict) for event in node.events) <= 1
        assert not about(node, MemberFailed, 1)
        member = node.member(1)
        assert member is not None
        assert member.address.host == "10.0.0.2"


def test_a_late_joiner_learns_everything_from_one_push_pull(seed: int) -> None:
    cluster = Simulation(31, seed=seed)
    for node in cluster.nodes[:30]:
        node.start()
        if node.number:
            node.join(0)
        cluster.advance(1 / 30)
    # Gossip may miss a node; the push/pulls of the next minutes do not.
    cluster.wait_until(cluster.agreed, within=200)
    late = cluster[30]
    late.start()
    late.join(3)
    took = cluster.wait_until(lambda: len(late.members()) == 31, within=1, step=0.01)
    assert took < 0.1
    cluster.wait_until(cluster.agreed, within=200)


def test_nobody_answers_for_a_node_that_is_not_there(seed: int) -> None:
    cluster = Simulation(2, seed=seed)
    for node in cluster.nodes:
        node.start()
    cluster.crash(1)
    call = cluster[0].join(1)
    cluster.advance(1)
    assert call.over
    assert call.error == "connection refused"
