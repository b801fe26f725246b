"""How Serf's messages are spread: to members in turns, in bursts while some were never sent."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from tests.sim import serf as wire_serf
from tests.sim import wire
from tests.sim.settings import MILLISECOND, SECOND, serf
from tests.sim.solo import Solo

ROUND = 200 * MILLISECOND


def started(members: int, *, layer: bool = True) -> Solo:
    """A core with members who have heard all there was to say."""
    solo = Solo.start(
        serf=serf() if layer else None, probe_interval_ns=1000 * SECOND, push_pull_interval_ns=0
    )
    for number in range(members):
        vsn = wire.SERF_VSN if layer else wire.VSN
        solo.hear(wire.alive(b"m-%d" % number, bytes((10, 0, 1, number)), 7946, 1, vsn=vsn))
    solo.run_for(30 * SECOND)
    solo.forget()
    return solo


def payloads_by_target(solo: Solo, since: int = 0) -> dict[bytes, list[bytes]]:
    """The user messages each member was sent, in order."""
    found: dict[bytes, list[bytes]] = defaultdict(list)
    for packet in solo.packets("user", since=since):
        found[packet.ip] += [sent.payload for sent in packet.messages if sent.kind == "user"]
    return found


def say(solo: Solo, count: int, size: int = 64) -> None:
    for number in range(count):
        solo.serf.event(b"e", b"%0*d" % (size, number), False, solo.now)


@pytest.mark.parametrize(
    ("members", "told"), [(1, 1), (2, 2), (5, 5), (7, 7), (8, 8), (9, 8), (20, 8), (99, 12)]
)
def test_in_a_small_pool_each_member_is_told_directly_and_in_any_no_member_twice(
    members: int, told: int
) -> None:
    solo = started(members)
    say(solo, 1)
    solo.run_for(10 * SECOND)
    sent = payloads_by_target(solo)
    counts = [len(payloads) for payloads in sent.values()]
    if members < 4:  # the formula of Serf says four times, to whom there is
        assert len(sent) == members
        assert sum(counts) == 4
    else:
        assert counts == [1] * told


def test_what_fits_a_packet_goes_out_in_one_to_three_members_a_round() -> None:
    solo = started(20)
    say(solo, 5)
    solo.run_for(ROUND)
    assert Counter(packet.ip for packet in solo.packets("user")).most_common(1)[0][1] == 1
    assert len(solo.packets("user")) == 3


def test_a_burst_brings_all_that_waits_to_each_target_of_a_round_once() -> None:
    solo = started(7)
    say(solo, 60)
    solo.run_for(ROUND)
    sent = payloads_by_target(solo)
    assert len(sent) == 3
    for payloads in sent.values():
        assert len(payloads) == len(set(payloads)) == 60
    solo.run_for(2 * ROUND)
    sent = payloads_by_target(solo)
    assert len(sent) == 7, "the next rounds go to the others"


def test_in_a_burst_every_packet_keeps_to_the_size_of_one() -> None:
    solo = started(7)
    say(solo, 200)
    solo.run_for(SECOND)
    assert max(len(packet.data) for packet in solo.packets("user")) <= 1405


def test_a_round_sends_no_more_than_its_packets_and_the_rest_waits() -> None:
    solo = started(7)
    say(solo, 400)
    solo.run_for(ROUND)
    packets = Counter(packet.ip for packet in solo.packets("user"))
    assert sorted(packets.values()) == [16, 16, 16]
    solo.run_for(30 * SECOND)
    assert solo.serf.stats()["events_queued"] == 0
    assert sum(map(len, payloads_by_target(solo).values())) == 400 * 7


def test_news_of_members_ride_in_the_packets_of_a_burst() -> None:
    solo = started(7)
    say(solo, 60)
    solo.hear(wire.alive(b"new", bytes((10, 0, 2, 1)), 7946, 1, vsn=wire.SERF_VSN))
    solo.forget()
    solo.run_for(ROUND)
    told = {packet.ip for packet in solo.packets("alive")}
    assert told == {packet.ip for packet in solo.packets("user")}


def test_intents_go_before_queries_and_those_before_events() -> None:
    solo = started(7)
    say(solo, 2)
    solo.serf.query(b"q", None, solo.now)
    wire_serf.hear(solo, wire_serf.join_intent(b"m-1", 50))
    solo.forget()
    solo.run_for(ROUND)
    for payloads in payloads_by_target(solo).values():
        assert [payload[0] for payload in payloads] == [1, 4, 3, 3]


def test_messages_of_serf_ride_on_no_ack() -> None:
    solo = started(2)
    peer = solo.puppets.get((bytes((10, 0, 1, 0)), 7946)) or solo.puppet("m-0")
    say(solo, 1)
    solo.forget()
    solo.hear(peer.ping(9, b"self"), source=peer)
    solo.collect()
    assert solo.messages("ackResp")
    assert not solo.packets("user")


def test_a_bare_memberlist_sends_one_packet_a_target_however_long_its_queue() -> None:
    solo = started(7, layer=False)
    for number in range(60):
        solo.swim.broadcast(b"%064d" % number)
    solo.run_for(ROUND)
    assert Counter(Counter(packet.ip for packet in solo.packets("user")).values()) == {1: 3}
