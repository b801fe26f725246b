"""Clusters of production cores in virtual time: joining, spreading, failing, leaving.

No test here knows when packets are sent; each says what must be so by when. The invariants of
`invariants.py` are checked at every step of every run.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.sim.cluster import Cluster, Node
from tests.sim.network import Faults
from tests.sim.settings import MILLISECOND, SECOND

KEY = bytes(range(32))


def started(size: int, seed: int, **options: Any) -> Cluster:
    """A cluster that has joined and converged.

    Gossip alone may miss a node (each claim is sent so often and no more); push/pull then tells it.
    """
    cluster = Cluster(size, seed, **options)
    cluster.start()
    cluster.run_until(cluster.converged, 150 * SECOND)
    return cluster


def detection_bound(cluster: Cluster) -> int:
    """By when a death is known to all: probed within two rounds, then the longest suspicion."""
    size = len(cluster.nodes)
    return 2 * size * SECOND + 8 * SECOND + 30 * SECOND


def test_the_same_seed_gives_the_same_run_byte_for_byte(seed: int) -> None:
    faults = Faults(loss=0.1, duplicates=0.1, replays=0.02, resets=0.1)

    def run(number: int) -> str:
        cluster = Cluster(5, number, faults=faults, keys=[KEY])
        cluster.start()
        cluster.run(40 * SECOND)
        return cluster.network.trace.hexdigest()

    assert run(seed) == run(seed)
    assert run(seed) != run(seed + 1)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 24])
def test_a_cluster_converges_soon_after_its_joins(size: int, seed: int) -> None:
    cluster = started(size, seed)
    assert all(not node.seen("failed") for node in cluster.nodes)


def test_a_pool_left_alone_for_five_minutes_has_not_one_suspicion(seed: int) -> None:
    cluster = started(6, seed)
    cluster.run(300 * SECOND)
    assert cluster.false_alarms() == []
    assert cluster.converged()
    assert {node.swim.health_score for node in cluster.nodes} == {0}


def test_sealed_and_labelled_nodes_are_a_pool_like_any_other(seed: int) -> None:
    cluster = started(5, seed, keys=[KEY], label=b"prod")
    cluster.run(60 * SECOND)
    assert cluster.false_alarms() == []
    assert cluster.converged()


def test_a_pool_on_ipv6_or_of_protocol_one_is_a_pool_like_any_other(seed: int) -> None:
    for options in ({"ipv6": True}, {"protocol_version": 1, "keys": [KEY]}):
        cluster = started(4, seed, **options)
        cluster.run(30 * SECOND)
        assert cluster.false_alarms() == []
        cluster.nodes[0].leave()
        cluster.run(5 * SECOND)
        assert all(node.state_of(cluster.nodes[0]) == "left" for node in cluster.nodes)


def test_an_update_reaches_everybody_within_two_seconds(seed: int) -> None:
    cluster = started(20, seed)
    cluster.run(30 * SECOND)
    node = cluster.nodes[7]
    node.update(b"second")
    cluster.run_until(cluster.converged, 2 * SECOND)
    assert all(len(other.seen("updated", node)) == 1 for other in cluster.nodes)


def test_a_kill_is_suspected_then_failed_everywhere_and_nobody_else_is(seed: int) -> None:
    cluster = started(8, seed)
    victim, *others = cluster.nodes
    victim.kill()
    cluster.run_until(
        lambda: all(node.state_of(victim) == "dead" for node in others), detection_bound(cluster)
    )
    for node in others:
        (failed,) = node.seen("failed", victim)
        assert node.seen("suspected", victim)[0] < failed
        assert node.seen("failed") == [failed]
    cluster.run_until(cluster.converged, 10 * SECOND)


def test_the_dead_are_forgotten_after_their_time(seed: int) -> None:
    cluster = started(5, seed)
    victim, *others = cluster.nodes
    victim.kill()
    cluster.run(detection_bound(cluster) + 60 * SECOND)
    assert {node.state_of(victim) for node in others} == {"unknown"}


def test_a_leave_is_seen_as_left_by_all_and_as_failed_by_none(seed: int) -> None:
    cluster = started(8, seed)
    cluster.run(20 * SECOND)
    leaver, *others = cluster.nodes
    request = leaver.leave()
    cluster.run_until(
        lambda: any(event[:2] == ("done", request) for _, event in leaver.events), 3 * SECOND
    )
    leaver.kill()
    cluster.run(60 * SECOND)
    for node in others:
        assert len(node.seen("left", leaver)) == 1
        assert not node.seen("failed")
    assert cluster.converged()


def test_a_node_that_restarts_at_its_address_is_back_with_a_newer_incarnation(seed: int) -> None:
    cluster = started(5, seed)
    victim, *others = cluster.nodes
    victim.kill()
    cluster.run_until(
        lambda: all(node.state_of(victim) == "dead" for node in others), detection_bound(cluster)
    )
    victim.meta = b"second life"
    victim.start()
    victim.join(others[0])
    cluster.run_until(cluster.converged, 5 * SECOND)
    assert victim.swim.incarnation > 1


def test_a_node_that_restarts_before_anybody_noticed_replaces_itself(seed: int) -> None:
    cluster = started(5, seed)
    victim, *others = cluster.nodes
    victim.kill()
    cluster.run(SECOND // 2)
    victim.meta = b"second life"
    victim.start()
    victim.join(others[0])
    cluster.run_until(cluster.converged, 10 * SECOND)
    assert all(not node.seen("failed") for node in others)


def test_user_messages_arrive_once_and_reliable_ones_always(seed: int) -> None:
    cluster = started(3, seed)
    one, other, _ = cluster.nodes
    one.send(other, b"datagram", False)
    one.send(other, b"stream" * 10_000, True)
    cluster.run(SECOND)
    got = sorted(event[1] for _, event in other.events if event[0] == "message")
    assert got == [b"datagram", b"stream" * 10_000]


def test_a_user_broadcast_is_sent_to_its_limit_and_not_passed_on(seed: int) -> None:
    """Passing on is the application's business, as in memberlist: Serf's layer does it."""
    cluster = started(20, seed)
    cluster.run(20 * SECOND)
    cluster.nodes[0].broadcast(b"to some")
    cluster.run(5 * SECOND)
    got = [event for node in cluster.nodes for _, event in node.events if event[0] == "message"]
    assert len(got) == 8


def test_two_nodes_of_one_name_are_one_conflict_and_no_flapping(seed: int) -> None:
    cluster = started(5, seed)
    cluster.run(10 * SECOND)
    *pool, twin = cluster.nodes
    twin.kill()
    cluster.run(120 * SECOND)
    twin.name = pool[1].name
    twin.start()
    twin.join(pool[0])
    cluster.run(30 * SECOND)
    assert pool[0].seen("conflict")
    for node in pool:
        assert len(node.seen("conflict")) <= 1
        assert node.rows()[twin.name][1] == pool[1].address[0]
        assert not node.seen("failed", pool[1])


def test_a_late_joiner_learns_everything_from_one_push_pull(seed: int) -> None:
    cluster = Cluster(31, seed)
    *pool, late = cluster.nodes
    for node in pool:
        node.start()
    for node in pool[1:]:
        node.join(pool[0])
    # Gossip may miss a node; the push/pulls of the next minute do not.
    cluster.run_until(cluster.converged, 60 * SECOND)
    late.start()
    began = cluster.network.now
    late.join(pool[3])
    cluster.run_until(lambda: len(late.rows()) == 31, SECOND)
    assert cluster.network.now - began < 100 * MILLISECOND
    cluster.run_until(cluster.converged, 5 * SECOND)


def test_nobody_answers_for_a_node_that_is_not_there(seed: int) -> None:
    cluster = Cluster(2, seed)
    one, absent = cluster.nodes
    one.start()
    (request,) = one.join(absent)
    cluster.run(SECOND)
    assert isinstance(one, Node)
    (answer,) = [event for _, event in one.events if event[:2] == ("done", request)]
    assert answer[2] == "connection refused"
