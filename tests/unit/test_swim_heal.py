"""Members that failed are remembered and called again, slowly, by name (gossip/core/heal.pxi)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.sim import wire
from tests.sim.serf import leave_intent
from tests.sim.settings import SECOND, serf
from tests.sim.solo import Puppet, Solo, Stream

INTERVAL = 30 * SECOND
PROBE = SECOND
HOUR = 3600 * SECOND


def lone(**changes: Any) -> Solo:
    """A node whose only dials are those of the heal."""
    return Solo.start(disable_tcp_pings=1, push_pull_interval_ns=0, **changes)


def lose(solo: Solo, *peers: Puppet) -> None:
    for peer in peers:
        solo.hear(wire.dead(peer.name, peer.incarnation, b"x"))
        assert solo.state(peer.name) == "dead"


def back(solo: Solo, peer: Puppet) -> None:
    peer.incarnation += 1
    solo.hear(peer.alive())


def healed(solo: Solo) -> list[tuple[list[bytes], list[bytes]]]:
    return [(sorted(event[1]), sorted(event[2])) for event in solo.events_of("healed")]


def asks_for(stream: Stream) -> bytes:
    """The name a call asks for: a TCP ping."""
    said = wire.read_stream(stream.written)
    assert said["type"] == wire.PING
    name = said["body"]["Node"]
    assert isinstance(name, bytes | str)
    return name.encode() if isinstance(name, str) else name


def tcp_ack(data: bytes) -> bytes:
    said = wire.read_stream(data)
    return wire.ack(said["body"]["SeqNo"]) if said["type"] == wire.PING else b""


# Who is called, and how often.


def test_a_failed_member_is_called_by_its_name_within_half_to_one_and_a_half_intervals() -> None:
    for seed in range(20):
        solo = lone(seed=seed)
        peer = solo.member("peer", dialled="accept")
        lose(solo, peer)
        lost_at = solo.now
        solo.run_for(3 * INTERVAL // 2 + SECOND)
        first = solo.dialled[0]
        assert INTERVAL // 2 <= first.opened_at - lost_at < 3 * INTERVAL // 2
        assert (first.ip, first.port) == (peer.ip, peer.port)
        assert asks_for(first) == b"peer"


def test_it_is_called_though_the_table_has_forgotten_it() -> None:
    solo = lone()
    peer = solo.member("peer")
    lose(solo, peer)
    solo.run_for(5 * INTERVAL)
    assert solo.state(b"peer") == "unknown"
    before = len(solo.dialled)
    solo.run_for(5 * INTERVAL)
    assert len(solo.dialled) > before


def test_calls_are_few_and_counted() -> None:
    """At most one in half an interval, two a minute in the mean, whatever is lost."""
    solo = lone()
    lose(solo, *solo.members(50))
    solo.run_for(HOUR)
    times = [stream.opened_at for stream in solo.dialled]
    pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert min(pauses) >= INTERVAL // 2
    assert 100 <= len(times) <= 140
    assert solo.swim.stats()["heal_calls"] == len(times)


def test_one_call_at_a_time() -> None:
    solo = lone(heal_interval_ns=2 * SECOND, tcp_timeout_ns=10 * SECOND)
    lose(solo, solo.member("peer", dialled="hang"))
    solo.run_for(60 * SECOND)
    times = [stream.opened_at for stream in solo.dialled]
    assert len(times) > 3
    assert all(b - a >= 10 * SECOND for a, b in itertools.pairwise(times))


def test_of_many_that_are_up_each_calls_seldom() -> None:
    """All together call a lost member as often as one alone would."""
    solo = lone()
    solo.members(19)
    lose(solo, solo.member("peer"))
    solo.run_for(HOUR)
    assert 1 <= solo.swim.stats()["heal_calls"] <= 20


def test_a_member_that_left_is_not_called() -> None:
    solo = lone()
    peer = solo.member("peer")
    solo.hear(wire.dead(b"peer", 1, b"peer"))
    assert solo.state(b"peer") == "left"
    solo.run_for(20 * INTERVAL)
    assert [stream for stream in solo.dialled if stream.ip == peer.ip] == []


@pytest.mark.parametrize("wait", [0, 5 * INTERVAL], ids=["dead", "forgotten"])
def test_one_that_left_on_the_other_side_is_called_no_more(wait: int) -> None:
    solo = lone()
    lose(solo, solo.member("peer"))
    solo.run_for(wait)
    calls = len(solo.dialled)
    solo.hear(wire.dead(b"peer", 1, b"peer"))
    solo.run_for(20 * INTERVAL)
    assert len(solo.dialled) == calls


def test_the_leave_of_an_earlier_life_does_not_stop_the_calls() -> None:
    solo = lone()
    peer = solo.member("peer", incarnation=7)
    lose(solo, peer)
    solo.hear(wire.dead(b"peer", 6, b"peer"))
    solo.run_for(5 * INTERVAL)
    assert solo.dialled


def test_a_lost_member_is_given_up_after_the_heal_time() -> None:
    solo = lone(heal_time_ns=10 * INTERVAL)
    lose(solo, solo.member("peer"))
    solo.run_for(12 * INTERVAL)
    calls = len(solo.dialled)
    assert calls >= 5
    solo.run_for(HOUR)
    assert len(solo.dialled) == calls
    assert healed(solo) == []


def test_without_an_interval_nobody_is_called_and_nothing_told() -> None:
    solo = lone(heal_interval_ns=0)
    peer = solo.member("peer")
    lose(solo, peer)
    solo.run_for(HOUR)
    back(solo, peer)
    assert solo.dialled == []
    assert healed(solo) == []


def test_a_node_that_has_left_calls_nobody() -> None:
    solo = lone()
    solo.member("other")
    lose(solo, solo.member("peer"))
    solo.swim.leave(solo.now)
    solo.collect()
    solo.run_for(HOUR)
    assert solo.dialled == []


def test_so_many_are_remembered_and_no_more() -> None:
    solo = lone(heal_time_ns=100 * HOUR)
    peers = [Puppet(b"peer-%04d" % n, bytes((10, 1, n // 250, n % 250 + 1))) for n in range(1100)]
    for peer in peers:
        solo.hear(peer.alive())
        solo.hear(wire.dead(peer.name, 1, b"x"))
        solo.now += 1
    back(solo, peers[-1])
    solo.run_for(10 * PROBE)
    ((lost, regained),) = healed(solo)
    assert lost == [peer.name for peer in peers[-1024:]], "the longest lost gave way"
    assert regained == [peers[-1].name]


def test_made_up_names_do_not_displace_a_member_that_has_answered() -> None:
    solo = lone(heal_time_ns=100 * HOUR, suspicion_mult=1, suspicion_max_timeout_mult=1)
    member = solo.member("member")
    solo.run_for(3 * PROBE)
    lose(solo, member)
    for number in range(1100):
        made_up = Puppet(b"no-%04d" % number, bytes((10, 1, number // 250, number % 250 + 1)))
        solo.hear(made_up.alive())
        solo.hear(wire.dead(made_up.name, 1, b"x"))
    back(solo, member)
    solo.run_for(10 * PROBE)
    ((lost, regained),) = healed(solo)
    assert regained == [b"member"]
    assert len(lost) == 1024


# What follows an answer.


def test_who_answers_to_its_name_is_sent_our_state_a_few_times() -> None:
    solo = lone()
    peer = solo.member("peer", dialled="accept", serve=tcp_ack)
    lose(solo, peer)
    solo.run_while(lambda: solo.swim.stats()["heal_answers"] == 0, limit=2 * INTERVAL)
    found_at = solo.now
    solo.run_for(8 * PROBE)
    call, *exchanges = solo.dialled
    assert asks_for(call) == b"peer"
    assert [wire.read_stream(each.written)["header"]["Join"] for each in exchanges] == [True] * 4
    after = [(each.opened_at - found_at) // PROBE for each in exchanges]
    assert after == [0, 1, 3, 7]


def test_whoever_has_the_address_now_but_not_the_name_is_left_alone() -> None:
    solo = lone()
    peer = solo.member("peer", dialled="accept", serve=lambda _: b"")
    lose(solo, peer)
    solo.run_for(10 * INTERVAL)
    assert len(solo.dialled) >= 5
    assert {asks_for(stream) for stream in solo.dialled} == {b"peer"}
    assert solo.swim.stats()["heal_answers"] == 0


def test_a_join_by_hand_of_the_other_side_is_followed_up_too() -> None:
    solo = lone(heal_interval_ns=HOUR)
    peer = solo.member("peer", dialled="accept", serve=lambda _: wire.push_pull([]))
    other = solo.member("other")
    lose(solo, peer, other)
    solo.swim.join(peer.ip, peer.port, b"", solo.now)
    solo.collect()
    solo.run_for(8 * PROBE)
    assert len(solo.dialled) == 4


def test_calls_end_when_all_are_back() -> None:
    solo = lone()
    peer = solo.member("peer")
    lose(solo, peer)
    solo.run_for(3 * INTERVAL)
    back(solo, peer)
    calls = len(solo.dialled)
    solo.run_for(HOUR)
    assert len(solo.dialled) == calls


# What is told.


def test_all_back_is_told_at_once_with_every_name() -> None:
    solo = lone()
    peers = solo.members(3)
    lose(solo, *peers)
    for peer in peers[:2]:
        back(solo, peer)
    assert healed(solo) == []
    back(solo, peers[2])
    assert healed(solo) == [([b"peer-0", b"peer-1", b"peer-2"],) * 2]
    assert solo.kinds()[-2:] == ["joined", "healed"]


def test_when_some_stay_away_it_is_told_after_ten_quiet_probe_intervals() -> None:
    solo = lone()
    peers = solo.members(3)
    lose(solo, *peers)
    back(solo, peers[0])
    solo.run_for(9 * PROBE)
    back(solo, peers[1])
    solo.run_for(9 * PROBE)
    assert healed(solo) == []
    solo.run_for(PROBE)
    assert healed(solo) == [([b"peer-0", b"peer-1", b"peer-2"], [b"peer-0", b"peer-1"])]
    back(solo, peers[2])
    assert healed(solo)[1:] == [([b"peer-2"], [b"peer-2"])]


def test_one_that_fails_again_before_it_is_told_is_still_lost() -> None:
    solo = lone()
    one, other = solo.members(2)
    lose(solo, one, other)
    back(solo, one)
    lose(solo, one)
    solo.run_for(20 * PROBE)
    back(solo, other)
    back(solo, one)
    assert healed(solo)[-1][1] == [b"peer-0", b"peer-1"]


def test_a_member_that_never_failed_is_no_partition() -> None:
    solo = lone()
    peer = solo.member("peer")
    solo.hear(wire.suspect(b"peer", 1, b"x"))
    back(solo, peer)
    solo.run_for(20 * PROBE)
    assert healed(solo) == []


# Under Serf's layer.


def serf_node(**changes: int) -> Solo:
    settings = serf(**({"reconnect_interval_ns": INTERVAL} | changes))
    return Solo.start(
        serf=settings, disable_tcp_pings=1, push_pull_interval_ns=0, heal_interval_ns=HOUR
    )


def test_what_serf_holds_failed_is_called_at_its_reconnect_interval() -> None:
    solo = serf_node()
    peer = solo.member("peer")
    lose(solo, peer)
    solo.run_for(HOUR)
    assert {stream.ip for stream in solo.dialled} == {peer.ip}
    assert 100 <= solo.swim.stats()["heal_calls"] <= 140


def test_what_serf_has_reaped_is_called_no_more() -> None:
    solo = serf_node(reconnect_timeout_ns=10 * INTERVAL)
    lose(solo, solo.member("peer"))
    solo.run_for(12 * INTERVAL)
    assert solo.events_of("member_reap", b"peer")
    calls = len(solo.dialled)
    assert calls >= 5
    solo.run_for(HOUR)
    assert len(solo.dialled) == calls


@pytest.mark.parametrize("prune", [False, True])
def test_what_was_forced_to_leave_is_called_no_more(prune: bool) -> None:
    solo = serf_node()
    lose(solo, solo.member("peer"))
    solo.serf.force_leave(b"peer", prune, solo.now)
    solo.collect()
    solo.run_for(HOUR)
    assert solo.dialled == []


def test_what_was_leaving_when_it_failed_is_not_called() -> None:
    solo = serf_node()
    peer = solo.member("peer")
    solo.hear(wire.user(leave_intent(b"peer", 5)))
    lose(solo, peer)
    solo.run_for(HOUR)
    assert solo.dialled == []
