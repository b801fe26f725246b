"""The prober's own side, second by second: protocol §16 and §17, LAN settings."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sim import wire
from tests.sim.settings import EPOCH, MILLISECOND, SECOND
from tests.sim.solo import ROUND_TRIP, Puppet, Solo

PROBE_TIMEOUT = SECOND // 2
PROBE_INTERVAL = SECOND


def silent_target(helpers: int = 3, *, health: int = 0, **changes: Any) -> tuple[Solo, Puppet]:
    """A node whose next probe is of a member that never answers; all others are members too.

    The target is found by trying seeds, since the order of the table is random.
    """
    for seed in range(1, 100):
        solo = Solo.start(seed=seed, **changes)
        for accused in range(1, health + 1):
            solo.hear(wire.suspect(b"self", accused, b"someone"))
        solo.members(helpers)
        target = solo.member("target", answers=False)
        solo.run_until(EPOCH + PROBE_INTERVAL)
        if solo.packets("ping", to=target):
            assert solo.swim.health_score == health
            return solo, target
    raise AssertionError("no seed probes the target first")


def reach_health(solo: Solo, score: int) -> None:
    """Accuse the node until its health score is `score`; each refutation adds one."""
    while solo.swim.health_score < score:
        solo.hear(wire.suspect(b"self", solo.incarnation(), b"someone"))


def probes(solo: Solo) -> list[int]:
    """When pings left, one entry a packet."""
    return [packet.at for packet in solo.packets("ping")]


def test_the_first_probe_comes_exactly_one_interval_after_the_start() -> None:
    solo = Solo.start()
    solo.member("peer")
    solo.run_for(PROBE_INTERVAL - 1)
    assert not probes(solo)
    solo.run_for(1)
    assert probes(solo) == [EPOCH + PROBE_INTERVAL]


def test_a_probe_names_its_target_and_its_sender() -> None:
    solo = Solo.start()
    peer = solo.member("peer")
    solo.run_for(PROBE_INTERVAL)
    (ping,) = solo.messages("ping", to=peer)
    assert ping.body == {
        "Node": "peer", "SeqNo": 1, "SourceAddr": bytes((10, 0, 0, 1)), "SourceNode": "self",
        "SourcePort": 7946,
    }  # fmt: skip


def test_every_member_is_probed_once_a_round() -> None:
    solo = Solo.start()
    peers = solo.members(5)
    solo.run_for(6 * PROBE_INTERVAL)
    assert {len(solo.packets("ping", to=peer)) for peer in peers} >= {1}
    solo.run_for(60 * PROBE_INTERVAL)
    counts = [len(solo.packets("ping", to=peer)) for peer in peers]
    assert min(counts) >= 10
    assert max(counts) - min(counts) <= 2


@pytest.mark.parametrize("gone", [0, 1, 3])
@pytest.mark.parametrize("others", [1, 2])
def test_a_small_pool_has_a_probe_in_each_interval(others: int, gone: int) -> None:
    solo = Solo.start()
    solo.members(others)
    for number in range(gone):
        left = solo.member(f"left-{number}")
        solo.hear(wire.dead(left.name, left.incarnation, left.name))
    solo.run_for(100 * PROBE_INTERVAL)
    assert probes(solo) == [EPOCH + number * PROBE_INTERVAL for number in range(1, 101)]


def test_the_dead_and_the_left_are_not_probed() -> None:
    solo = Solo.start()
    peer, dead, left = solo.member("peer"), solo.member("dead"), solo.member("left")
    solo.hear(wire.dead(b"dead", 1, b"x"), wire.dead(b"left", 1, b"left"), source=peer)
    solo.run_for(10 * PROBE_INTERVAL)
    assert not solo.packets("ping", to=dead)
    assert not solo.packets("ping", to=left)
    assert solo.packets("ping", to=peer)


def test_an_ack_lowers_the_health_score() -> None:
    solo = Solo.start()
    solo.member("peer")
    reach_health(solo, 3)
    solo.run_for(PROBE_INTERVAL + 2 * ROUND_TRIP)
    assert solo.swim.health_score == 2


def test_the_indirect_stage_begins_exactly_one_probe_timeout_after_the_ping() -> None:
    solo, target = silent_target()
    solo.run_for(PROBE_TIMEOUT - 1)
    assert not solo.packets("indirectPing")
    assert not solo.dialled
    solo.run_for(1)
    helpers = solo.packets("indirectPing")
    assert len(helpers) == 3
    assert {packet.at for packet in helpers} == {EPOCH + PROBE_INTERVAL + PROBE_TIMEOUT}
    assert [(stream.ip, stream.port) for stream in solo.dialled] == [(target.ip, target.port)]


def test_an_indirect_ping_keeps_the_number_and_names_target_and_sender() -> None:
    solo, target = silent_target()
    (ping,) = solo.messages("ping", to=target)
    solo.run_for(PROBE_TIMEOUT)
    for request in solo.messages("indirectPing"):
        assert request.body == {
            "Node": "target", "SeqNo": ping["SeqNo"], "Target": target.ip, "Port": target.port,
            "Nack": True, "SourceAddr": bytes((10, 0, 0, 1)), "SourceNode": "self",
            "SourcePort": 7946,
        }  # fmt: skip


@pytest.mark.parametrize(("checks", "helpers"), [(0, 3), (1, 3), (3, 2), (5, 9)])
def test_helpers_are_living_others_and_at_most_indirect_checks(checks: int, helpers: int) -> None:
    solo, target = silent_target(helpers, indirect_checks=checks)
    solo.run_for(PROBE_TIMEOUT)
    asked = {(packet.ip, packet.port) for packet in solo.packets("indirectPing")}
    assert len(asked) == len(solo.packets("indirectPing")) <= checks
    assert len(asked) == min(checks, helpers)
    assert (target.ip, target.port) not in asked


def test_only_helpers_that_know_nacks_are_asked_for_one() -> None:
    old = bytes((1, 3, 2, 0, 0, 0))
    for seed in range(1, 100):
        solo = Solo.start(seed=seed)
        solo.member("old", vsn=old)
        target = solo.member("target", answers=False)
        solo.run_until(EPOCH + PROBE_INTERVAL)
        if solo.packets("ping", to=target):
            break
    solo.run_for(PROBE_TIMEOUT)
    assert [request["Nack"] for request in solo.messages("indirectPing")] == [False]
    solo.run_until(EPOCH + 2 * PROBE_INTERVAL)
    # No nack was expected, so the failure costs one.
    assert (solo.state(b"target"), solo.swim.health_score) == ("suspect", 1)


def test_a_failed_probe_suspects_exactly_at_the_end_of_its_interval() -> None:
    solo, target = silent_target()
    solo.run_until(EPOCH + 2 * PROBE_INTERVAL - 1)
    assert solo.state(target.name) == "alive"
    solo.run_for(1)
    assert solo.state(target.name) == "suspect"
    (event,) = solo.events_of("suspected", target.name)
    assert event[2] == b"self"


def test_at_health_nought_nacks_come_too_late_and_the_failure_costs_each_of_them() -> None:
    solo, _ = silent_target()
    solo.run_until(EPOCH + 2 * PROBE_INTERVAL)
    assert solo.swim.health_score == 3


def test_with_time_for_the_nacks_a_failure_costs_nothing() -> None:
    solo, target = silent_target(health=1)
    solo.run_until(EPOCH + PROBE_INTERVAL + 2 * PROBE_INTERVAL - 1)
    assert solo.state(target.name) == "alive"
    solo.run_for(1)
    assert solo.state(target.name) == "suspect"
    assert solo.swim.health_score == 1


def test_each_missing_nack_costs_one() -> None:
    solo, target = silent_target(health=1)
    helpers = [puppet for puppet in solo.puppets.values() if puppet is not target]
    helpers[0].relays = False
    helpers[1].relays = False
    solo.run_until(EPOCH + 3 * PROBE_INTERVAL)
    assert solo.state(target.name) == "suspect"
    assert solo.swim.health_score == 3


def test_a_failure_without_helpers_costs_one() -> None:
    solo, target = silent_target(0)
    solo.run_for(PROBE_TIMEOUT)
    assert [(stream.ip, stream.port) for stream in solo.dialled] == [(target.ip, target.port)]
    solo.run_until(EPOCH + 2 * PROBE_INTERVAL)
    assert (solo.state(target.name), solo.swim.health_score) == ("suspect", 1)


def test_the_health_score_stops_at_its_limit() -> None:
    solo = Solo.start(awareness_max_multiplier=4)
    for accused in range(1, 20):
        solo.hear(wire.suspect(b"self", accused, b"someone"))
    assert solo.swim.health_score == 3


@pytest.mark.parametrize("late", [PROBE_TIMEOUT + ROUND_TRIP, PROBE_INTERVAL - 1])
def test_a_direct_ack_within_the_interval_is_a_success(late: int) -> None:
    solo, target = silent_target()
    reach_health(solo, 1)
    (ping,) = solo.messages("ping", to=target)
    solo.run_for(late)
    solo.hear(wire.ack(ping["SeqNo"]), source=target)
    assert solo.swim.health_score == 0
    solo.run_for(2 * PROBE_INTERVAL)
    assert not solo.events_of("suspected", target.name)


def test_a_relayed_ack_is_a_success() -> None:
    solo, target = silent_target()
    (ping,) = solo.messages("ping", to=target)
    solo.run_for(PROBE_TIMEOUT + ROUND_TRIP)
    helper = next(puppet for puppet in solo.puppets.values() if puppet is not target)
    solo.hear(wire.ack(ping["SeqNo"]), source=helper)
    solo.run_until(EPOCH + 2 * PROBE_INTERVAL)
    assert solo.state(target.name) == "alive"


def test_an_ack_after_the_interval_is_nothing() -> None:
    solo, target = silent_target()
    (ping,) = solo.messages("ping", to=target)
    solo.run_until(EPOCH + 2 * PROBE_INTERVAL)
    health = solo.swim.health_score
    solo.hear(wire.ack(ping["SeqNo"]), source=target)
    assert (solo.state(target.name), solo.swim.health_score) == ("suspect", health)
    assert solo.dropped("ack_unknown") == 1


def test_an_ack_nobody_waits_for_is_counted() -> None:
    solo = Solo.start()
    solo.hear(wire.ack(12345))
    assert solo.dropped("ack_unknown") == 1


def tcp_ack(data: bytes) -> bytes:
    request = wire.read_stream(data)
    return wire.ack(request["body"]["SeqNo"])


def test_a_ping_by_tcp_saves_a_member_but_does_not_end_the_wait() -> None:
    solo, target = silent_target()
    target.dialled, target.serve = "accept", tcp_ack
    reach_health(solo, 1)
    (ping,) = solo.messages("ping", to=target)
    solo.run_for(PROBE_INTERVAL - 1)
    request = wire.read_stream(solo.dialled[0].written)
    assert request["body"] == ping.body
    assert solo.swim.health_score == 1
    solo.run_for(1)
    assert (solo.state(target.name), solo.swim.health_score) == ("alive", 0)
    assert solo.swim.stats()["probes_saved_by_tcp"] == 1


def test_a_tcp_ack_with_another_number_saves_nobody() -> None:
    solo, target = silent_target()
    target.dialled = "accept"
    target.serve = lambda data: wire.ack(wire.read_stream(data)["body"]["SeqNo"] + 1)
    solo.run_until(EPOCH + 2 * PROBE_INTERVAL)
    assert solo.state(target.name) == "suspect"


def test_a_stream_that_hangs_is_cut_off_with_the_probe() -> None:
    solo, target = silent_target()
    target.dialled = "hang"
    solo.run_until(EPOCH + 2 * PROBE_INTERVAL + 1)
    assert solo.state(target.name) == "suspect"
    assert solo.dialled[0].closed_at is not None


def test_no_ping_by_tcp_when_it_is_turned_off() -> None:
    solo, target = silent_target(disable_tcp_pings=1)
    solo.run_until(EPOCH + 2 * PROBE_INTERVAL)
    assert solo.state(target.name) == "suspect"
    assert not solo.dialled


def test_no_ping_by_tcp_to_a_member_too_old_for_it() -> None:
    old = bytes((1, 2, 2, 0, 0, 0))
    solo = Solo.start()
    target = solo.member("old", answers=False, vsn=old)
    solo.run_for(3 * PROBE_INTERVAL)
    assert solo.state(target.name) == "suspect"
    assert not solo.dialled


def test_a_suspected_member_is_told_so_with_each_ping_and_nothing_else() -> None:
    solo = Solo.start()
    peer = solo.member("peer", incarnation=3)
    solo.hear(wire.suspect(b"peer", 3, b"someone"))
    solo.run_for(PROBE_INTERVAL)
    ping, suspect = solo.packets("ping", to=peer)[0].messages
    assert ping.kind == "ping"
    assert suspect.body == {"Node": "peer", "Incarnation": 3, "From": "self"}


def test_an_ack_does_not_clear_a_suspicion() -> None:
    solo = Solo.start()
    solo.member("peer")
    solo.hear(wire.suspect(b"peer", 1, b"someone"))
    solo.run_for(PROBE_INTERVAL + 10 * ROUND_TRIP)
    assert solo.messages("ping")
    assert solo.state(b"peer") == "suspect"


def test_a_probe_that_overran_is_followed_at_once_and_then_the_grid_goes_on() -> None:
    solo, target = silent_target(health=1)
    solo.run_until(EPOCH + 3 * PROBE_INTERVAL)
    assert solo.state(target.name) == "suspect"
    times = [(at - EPOCH) / SECOND for at in probes(solo)]
    assert times == [1, 3], "the probe took two intervals, the next came at its end"
    solo.run_until(EPOCH + 5 * PROBE_INTERVAL)
    later = {(at - EPOCH) / SECOND for at in probes(solo)}
    assert later <= {1.0, 3.0, 4.0, 5.0}


def test_a_ping_the_kernel_refuses_goes_straight_to_the_indirect_stage() -> None:
    solo, target = silent_target()
    solo.swim.send_failed(target.ip, target.port, 101, solo.now)
    solo.collect()
    helpers = solo.packets("indirectPing")
    assert {packet.at for packet in helpers} == {EPOCH + PROBE_INTERVAL}
    assert len(helpers) == 3
    assert solo.dialled
    solo.run_until(EPOCH + 2 * PROBE_INTERVAL)
    # The nacks were in time, so this failure costs nothing.
    assert (solo.state(target.name), solo.swim.health_score) == ("suspect", 0)


def test_a_late_success_after_a_refused_send_does_not_improve_the_health() -> None:
    solo, target = silent_target()
    reach_health(solo, 2)
    (ping,) = solo.messages("ping", to=target)
    solo.swim.send_failed(target.ip, target.port, 1, solo.now)
    solo.collect()
    solo.run_for(10 * ROUND_TRIP)
    solo.hear(wire.ack(ping["SeqNo"]), source=target)
    solo.run_for(PROBE_INTERVAL)
    assert not solo.events_of("suspected", target.name)
    assert solo.swim.health_score >= 2 - len(probes(solo)) + 1


def test_a_refused_send_to_somebody_else_is_only_counted() -> None:
    solo, _ = silent_target()
    solo.swim.send_failed(bytes((203, 0, 113, 9)), 7946, 1, solo.now)
    solo.collect()
    assert not solo.packets("indirectPing")
    assert solo.swim.stats()["send_failures"] == 1


def test_direct_answers_are_reported_with_their_time_and_payload() -> None:
    solo = Solo.start(report_pings=1)
    peer = solo.member("peer", answers=False)
    solo.run_for(PROBE_INTERVAL)
    (ping,) = solo.messages("ping", to=peer)
    solo.run_for(7 * MILLISECOND)
    solo.hear(wire.ack(ping["SeqNo"], b"coordinates"), source=peer)
    (event,) = solo.events_of("pinged", b"peer")
    assert event[2:] == (7 * MILLISECOND, b"coordinates")


def test_late_answers_are_not_reported() -> None:
    solo, target = silent_target(report_pings=1)
    (ping,) = solo.messages("ping", to=target)
    solo.run_for(PROBE_TIMEOUT + ROUND_TRIP)
    solo.hear(wire.ack(ping["SeqNo"], b"late"), source=target)
    assert not solo.events_of("pinged", target.name)


def test_a_member_that_dies_during_its_probe_is_not_suspected_by_it() -> None:
    solo, target = silent_target()
    solo.hear(wire.dead(target.name, 1, b"x"))
    solo.run_until(EPOCH + 2 * PROBE_INTERVAL)
    assert solo.state(target.name) == "dead"


def test_a_member_that_refutes_during_its_probe_is_not_suspected_by_it() -> None:
    """The suspicion carries the incarnation of the probe's start, which is then too old."""
    solo, target = silent_target()
    solo.hear(target.alive(2), source=target)
    solo.run_until(EPOCH + 2 * PROBE_INTERVAL)
    assert solo.state(target.name) == "alive"


def test_a_stall_of_the_node_itself_is_charged_to_its_own_health() -> None:
    solo = Solo.start()
    solo.members(3)
    solo.run_until(EPOCH + PROBE_INTERVAL + 10 * ROUND_TRIP)
    solo.now += 15 * SECOND
    solo.swim.tick(solo.now)
    solo.collect()
    assert solo.swim.health_score > 0
    assert solo.swim.stats()["stalls"] == 1


def stall(solo: Solo, duration: int) -> None:
    """The process stands still; then its timer is late by that much."""
    solo.now += duration
    solo.swim.tick(solo.now)
    solo.collect()


def test_the_probe_in_hand_at_a_stall_says_nothing_about_its_target() -> None:
    solo, target = silent_target()
    stall(solo, 5 * SECOND)
    assert solo.state(target.name) == "alive"
    assert solo.swim.stats()["probes_failed"] == 0


def test_a_suspicion_that_ran_out_in_a_stall_waits_for_what_is_in_the_socket() -> None:
    solo = Solo.start()
    peer = solo.member("peer")
    for refutes in (True, False):
        solo.hear(wire.suspect(b"peer", solo.incarnation(b"peer"), b"x"))
        stall(solo, 20 * SECOND)
        assert solo.state(b"peer") == "suspect"
        if refutes:
            solo.hear(peer.alive(2), source=peer)
            assert solo.state(b"peer") == "alive"
    solo.run_for(PROBE_INTERVAL)
    assert solo.state(b"peer") == "dead"


def test_after_a_stall_missed_periods_are_skipped_not_made_up() -> None:
    solo = Solo.start()
    solo.members(3)
    solo.run_until(EPOCH + PROBE_INTERVAL + 10 * ROUND_TRIP)
    solo.forget()
    solo.now += 20 * SECOND
    solo.swim.tick(solo.now)
    solo.collect()
    assert len(probes(solo)) <= 1
    assert len(solo.sent) <= 1 + 2 * 3
