"""Pools of cores with a Serf layer, in virtual time: what one says reaches all, once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from . import serf as wire_serf
from .cluster import Cluster, Node
from .network import Faults
from .settings import MILLISECOND, SECOND, serf

KEY = bytes(range(16))
ROUGH = Faults(loss=0.05, duplicates=0.05, replays=0.05)


def pool(size: int, seed: int, faults: Faults | None = None, **changes: int) -> Cluster:
    cluster = Cluster(size, seed, faults=faults, keys=[KEY], serf=serf(**changes))
    cluster.start()
    cluster.run_until(cluster.converged, 60 * SECOND)
    return cluster


def leave(node: Node) -> None:
    node.watch.leaving = True
    node.asked(node.serf.leave(node.now))


def told(node: Node, kind: str) -> list[tuple[Any, ...]]:
    return [event for _, event in node.events if event[0] == kind]


def statuses(node: Node) -> dict[str, str]:
    return {row[0].decode(): wire_serf.STATUS_NAMES[row[5]] for row in node.serf.members()}


def test_an_event_reaches_every_member_exactly_once(seed: int) -> None:
    cluster = pool(12, seed, ROUGH)
    for number, node in enumerate(cluster.nodes):
        payload = b"from %d" % number
        node.asked(node.serf.event(
            b"deploy", payload, False, node.now
        ))  # fmt: skip
    everybody = Counter(b"from %d" % number for number in range(12))
    cluster.run_until(
        lambda: all(len(told(node, "user_event")) == 12 for node in cluster.nodes), 60 * SECOND
    )
    cluster.run(70 * SECOND)  # replays, and a push/pull of each with somebody
    for node in cluster.nodes:
        assert Counter(event[3] for event in told(node, "user_event")) == everybody


def test_200_events_a_second_for_10_seconds_reach_all_of_a_pool_of_8_once(seed: int) -> None:
    cluster = pool(8, seed, Faults(loss=0.01))
    first = cluster.nodes[0]
    for number in range(2000):
        payload = b"%064d" % number
        first.asked(first.serf.event(b"refresh", payload, False, first.now))
        cluster.run(5 * MILLISECOND)
    cluster.run(5 * SECOND)
    for node in cluster.nodes:
        counts = Counter(event[3] for event in told(node, "user_event"))
        assert max(counts.values()) == 1
        assert len(counts) >= 1998, f"{node.name!r} missed {2000 - len(counts)} of 2000"
    assert not cluster.false_alarms()


def test_an_event_that_a_node_missed_comes_with_a_push_pull(seed: int) -> None:
    cluster = pool(3, seed)
    first, _, last = cluster.nodes
    cluster.network.block(cluster.nodes, [last], only="udp")
    first.asked(first.serf.event(b"missed", b"x", True, first.now))
    cluster.run(5 * SECOND)
    assert not told(last, "user_event")
    cluster.network.heal()
    cluster.run_until(lambda: len(told(last, "user_event")) == 1, 200 * SECOND)
    assert told(last, "user_event") == [("user_event", 1, b"missed", b"x", False)]


def test_a_graceful_leave_is_seen_as_left_and_an_abrupt_one_as_failed(seed: int) -> None:
    cluster = pool(6, seed)
    leaver, dead, *others = cluster.nodes
    leave(leaver)
    cluster.run_until(lambda: leaver.serf.state == "left", 30 * SECOND)
    leaver.kill()
    dead.kill()
    expected = {node.name.decode(): "alive" for node in others}
    expected |= {leaver.name.decode(): "left", dead.name.decode(): "failed"}
    cluster.run_until(lambda: all(statuses(node) == expected for node in others), 120 * SECOND)
    for node in others:
        assert [event[1][0] for event in told(node, "member_leave")] == [leaver.name]
        assert [event[1][0] for event in told(node, "member_failed")] == [dead.name]


def test_a_memberlist_leave_without_the_intent_is_seen_as_failed(seed: int) -> None:
    cluster = pool(4, seed)
    leaver, *others = cluster.nodes
    leaver.leave()
    cluster.run_until(
        lambda: all(statuses(node)[leaver.name.decode()] == "failed" for node in others),
        30 * SECOND,
    )


def test_a_query_is_answered_by_all_and_ends_as_soon_as_it_is(seed: int) -> None:
    cluster = pool(10, seed, Faults(loss=0.02))
    asker = cluster.nodes[3]
    start = asker.now
    asker.asked(asker.serf.query(
        b"uptime", b"", asker.now, ack=True, relay_factor=3, timeout_ns=60 * SECOND
    ))  # fmt: skip
    answered: set[bytes] = set()

    def answer() -> bool:
        """Every node that was asked answers, once."""
        for node in cluster.nodes:
            asked = told(node, "query")
            if asked and node.name not in answered:
                answered.add(node.name)
                node.serf.respond(asked[0][1], b"I am " + node.name, node.now)
                node.asked(None)
        return bool(told(asker, "query_done"))

    cluster.run_until(answer, 60 * SECOND)
    names = {node.name for node in cluster.nodes}
    assert Counter(event[2] for event in told(asker, "query_response")) == Counter(names)
    acks = Counter(event[2] for event in told(asker, "query_ack"))
    assert max(acks.values()) == 1, "some are not there: a response may overtake its ack"
    assert acks.keys() <= names
    assert told(asker, "query_done")[0][2] is True
    assert asker.now - start < 10 * SECOND
    cluster.run(5 * SECOND)
    assert len(told(asker, "query_done")) == 1


def test_a_query_does_not_wait_for_a_member_that_dies_before_it_answers(seed: int) -> None:
    cluster = pool(5, seed)
    asker, victim, *_ = cluster.nodes
    victim.kill()
    asker.asked(asker.serf.query(
        b"_serf_ping", None, asker.now, ack=True, acks_answer=True, timeout_ns=300 * SECOND
    ))  # fmt: skip
    took = cluster.run_until(lambda: bool(told(asker, "query_done")), 120 * SECOND)
    assert told(asker, "query_done")[0][2] is True
    assert took >= SECOND, "until the victim was found dead"
    acks = Counter(event[2] for event in told(asker, "query_ack"))
    assert acks == Counter(node.name for node in cluster.nodes if node is not victim)


def test_a_false_word_of_a_leave_is_refuted_everywhere(seed: int) -> None:
    cluster = pool(6, seed)
    liar, victim, *_ = cluster.nodes
    name = victim.name.decode()
    liar.asked(liar.serf.force_leave(victim.name, False, liar.now))
    assert statuses(liar)[name] == "leaving"
    cluster.run_until(lambda: victim.serf.stats()["refutations"] > 0, 10 * SECOND)
    cluster.run_until(
        lambda: all(statuses(node)[name] == "alive" for node in cluster.nodes), 10 * SECOND
    )
    cluster.run(10 * SECOND)
    assert all(statuses(node)[name] == "alive" for node in cluster.nodes)
    assert not any(told(node, "member_leave") for node in cluster.nodes)


def test_a_failed_member_is_pruned_everywhere_by_one_word(seed: int) -> None:
    cluster = pool(6, seed)
    chief, victim, *others = cluster.nodes
    victim.kill()
    name = victim.name.decode()
    left = [chief, *others]
    cluster.run_until(lambda: all(statuses(node)[name] == "failed" for node in left), 60 * SECOND)
    chief.asked(chief.serf.force_leave(victim.name, True, chief.now))
    cluster.run_until(lambda: not any(name in statuses(node) for node in left), 30 * SECOND)
    for node in left:
        reaped = [event[1] for event in told(node, "member_reap")]
        assert [row[0] for row in reaped if isinstance(row, tuple)] == [victim.name]


def test_who_was_gone_for_long_is_reaped(seed: int) -> None:
    cluster = pool(
        4, seed, reap_interval_ns=SECOND, reconnect_timeout_ns=60 * SECOND,
        tombstone_timeout_ns=30 * SECOND,
    )  # fmt: skip
    leaver, dead, *others = cluster.nodes
    leave(leaver)
    cluster.run_until(lambda: leaver.serf.state == "left", 30 * SECOND)
    leaver.kill()
    dead.kill()
    names = {node.name.decode() for node in others}
    cluster.run_until(lambda: all(set(statuses(node)) == names for node in others), 200 * SECOND)


def test_an_intent_that_comes_before_its_member_is_kept_for_it(seed: int) -> None:
    cluster = pool(4, seed)
    newcomer = Node(cluster, 4)
    cluster.nodes.append(newcomer)
    cluster.network.hosts[newcomer.address] = newcomer
    first = cluster.nodes[0]
    first.asked(first.serf.force_leave(newcomer.name, False, first.now))
    cluster.run(3 * SECOND)
    for node in cluster.nodes[:4]:
        assert node.serf.recent_intent(newcomer.name) == ("leave", 1)
    newcomer.start()
    newcomer.join(first)
    cluster.run_until(
        lambda: all(
            statuses(node).get(newcomer.name.decode()) == "leaving" for node in cluster.nodes[:4]
        ),
        20 * SECOND,
    )
    newcomer.serf.joining(False, newcomer.now)
    newcomer.serf.joined(False, 1, newcomer.now)
    cluster.run_until(
        lambda: all(
            statuses(node).get(newcomer.name.decode()) == "alive" for node in cluster.nodes[:4]
        ),
        20 * SECOND,
    )


@pytest.mark.parametrize("ignore_old", [False, True])
def test_a_newcomer_hears_of_old_events_unless_it_asks_not_to(ignore_old: bool) -> None:
    cluster = pool(3, 1)
    first = cluster.nodes[0]
    first.asked(first.serf.event(b"old", b"", False, first.now))
    cluster.run(5 * SECOND)
    newcomer = Node(cluster, 3)
    cluster.nodes.append(newcomer)
    cluster.network.hosts[newcomer.address] = newcomer
    newcomer.start()
    newcomer.serf.joining(ignore_old, newcomer.now)
    newcomer.join(first)
    cluster.run(SECOND)
    newcomer.serf.joined(ignore_old, 1, newcomer.now)
    cluster.run(70 * SECOND)
    assert [event[2] for event in told(newcomer, "user_event")] == ([] if ignore_old else [b"old"])
    first.asked(first.serf.event(b"new", b"", False, first.now))
    cluster.run(5 * SECOND)
    assert told(newcomer, "user_event")[-1][2] == b"new"


def test_the_lamport_clocks_of_a_pool_draw_level(seed: int) -> None:
    cluster = pool(6, seed)
    for node in cluster.nodes:
        for _ in range(3):
            node.asked(node.serf.event(b"e", node.name, False, node.now))
        node.asked(node.serf.query(b"q", None, node.now))
    cluster.run(70 * SECOND)
    clocks = {node.serf.clocks() for node in cluster.nodes}
    assert len(clocks) == 1
    assert min(min(clock[1:]) for clock in clocks) > 1
