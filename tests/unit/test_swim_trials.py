"""What the papers vary and memberlist fixes: each setting does what it says, and only that."""

from __future__ import annotations

from typing import Any

import pytest

from gossip._core import Identities, Scratch, Swim, suspicion_min_ns
from tests.sim import wire
from tests.sim.settings import EPOCH, MILLISECOND, SECOND, lan
from tests.sim.solo import ROUND_TRIP, Puppet, Solo

PROBE = SECOND


def silent_target(**changes: Any) -> tuple[Solo, Puppet]:
    """A node whose probe of a member that never answers has just begun."""
    for seed in range(1, 100):
        solo = Solo.start(seed=seed, **changes)
        solo.members(3)
        target = solo.member("target", answers=False)
        solo.run_until(EPOCH + PROBE)
        if solo.packets("ping", to=target):
            return solo, target
    raise AssertionError("no seed probes the target first")


@pytest.mark.parametrize(("k", "confirmations"), [(0, 0), (1, 1), (3, 3)])
def test_k_of_its_own_is_the_number_of_confirmations_that_count(k: int, confirmations: int) -> None:
    solo = Solo.start(suspicion_k=k)
    solo.members(10)
    for accuser in range(6):
        solo.hear(wire.suspect(b"peer-1", 1, b"accuser-%d" % accuser))
    assert len(solo.events_of("confirmed")) == confirmations


def test_without_a_k_a_suspicion_takes_the_shortest_time() -> None:
    solo = Solo.start(suspicion_k=0)
    solo.members(10)
    solo.hear(wire.suspect(b"peer-1", 1, b"accuser"))
    began = solo.now
    solo.run_while(lambda: not solo.events_of("failed", b"peer-1"), limit=60 * SECOND)
    assert solo.now - began == suspicion_min_ns(4, 11, SECOND)


@pytest.mark.parametrize("buddy", [0, 1])
def test_a_suspect_is_told_with_its_ping_only_with_the_buddy_system(buddy: int) -> None:
    solo = Solo.start(buddy_system=buddy, gossip_nodes=0, retransmit_mult=1, suspicion_mult=30)
    target = solo.member("target")
    solo.run_for(5 * PROBE)
    solo.hear(wire.suspect(b"target", 1, b"someone"))
    solo.run_for(4 * PROBE)
    solo.forget()
    solo.run_while(lambda: not solo.packets("ping", to=target), limit=10 * PROBE)
    assert bool(solo.messages("suspect", to=target)) is bool(buddy)


@pytest.mark.parametrize("percent", [40, 80, 100])
def test_a_nack_is_sent_after_its_part_of_the_probe_timeout(percent: int) -> None:
    solo = Solo.start(nack_percent=percent)
    asker, target = solo.member("asker"), solo.member("target", answers=False)
    began = solo.now
    solo.hear(wire.indirect_ping(9, target.ip, target.port, b"target", nack=True), source=asker)
    solo.run_while(lambda: not solo.packets("nackResp"), limit=SECOND)
    assert solo.now - began == 500 * MILLISECOND * percent // 100


def test_after_an_early_nack_a_late_ack_is_passed_on() -> None:
    solo = Solo.start(nack_percent=80)
    asker, target = solo.member("asker"), solo.member("target", answers=False)
    solo.hear(wire.indirect_ping(9, target.ip, target.port, b"target", nack=True), source=asker)
    (ping,) = solo.messages("ping", to=target)
    solo.run_for(450 * MILLISECOND)
    assert solo.messages("nackResp", to=asker)
    solo.hear(wire.ack(ping["SeqNo"]), source=target)
    assert [ack["SeqNo"] for ack in solo.messages("ackResp", to=asker)] == [9]


@pytest.mark.parametrize("scaled", [0, 1])
def test_the_health_score_stretches_the_probe_timeout_only_when_asked(scaled: int) -> None:
    solo, _ = silent_target(scale_probe_timeout=scaled)
    assert solo.swim.health_score == 0
    solo.run_until(EPOCH + 2 * PROBE)
    score = solo.swim.health_score
    assert score == 3
    solo.forget()
    solo.run_while(lambda: not solo.packets("ping"), limit=10 * PROBE)
    for puppet in solo.puppets.values():
        puppet.answers = False
    solo.forget()
    solo.run_while(lambda: not solo.packets("ping"), limit=10 * PROBE)
    began = solo.now
    score = solo.swim.health_score
    solo.run_while(lambda: not solo.packets("indirectPing"), limit=10 * PROBE)
    stretched = 500 * MILLISECOND * (score + 1 if scaled else 1)
    assert solo.now - began == stretched


@pytest.mark.parametrize("noticed", [0, 1])
def test_a_stall_is_held_against_others_when_it_is_not_noticed(noticed: int) -> None:
    solo, target = silent_target(notice_stalls=noticed)
    solo.now += 5 * SECOND
    solo.swim.tick(solo.now)
    solo.collect()
    assert solo.state(target.name) == ("alive" if noticed else "suspect")


def test_values_out_of_range_are_refused() -> None:
    for name, value in [("nack_percent", 0), ("nack_percent", 101), ("suspicion_k", 33)]:
        with pytest.raises(ValueError, match=name):
            Swim(lan(**{name: value}), name=b"n", address=bytes(4), port=1, seed=1)


def test_cores_may_share_their_scratch_and_a_thread_may_not() -> None:
    scratch, identities = Scratch(), Identities(1)
    nodes = [
        Swim(
            lan(), name=b"node-%d" % i, address=bytes((10, 0, 0, i)), port=7946, seed=i,
            identities=identities, scratch=scratch,
        )
        for i in range(2)
    ]  # fmt: skip
    for node in nodes:
        node.start(EPOCH)
    address = bytes((10, 0, 0, 1))
    nodes[0].receive([(wire.ping(5, b"node-0"), address, 7946)], EPOCH + ROUND_TRIP)
    assert len(nodes[0].transmits()) == 1
    assert nodes[1].transmits() == []
    with pytest.raises(ValueError, match="scratch"):
        Swim(lan(), name=b"n", address=bytes(4), port=1, seed=1, scratch=scratch).share()
