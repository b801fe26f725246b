"""Leaving, making others leave, pruning (Serf §8)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sim import serf as wire_serf
from tests.sim import wire
from tests.sim.settings import MILLISECOND, SECOND, serf
from tests.sim.solo import Solo


def started(members: int = 1, **changes: Any) -> Solo:
    """A core with members; their probes are out of the way."""
    gossip = changes.pop("gossip_interval_ns", 200 * MILLISECOND)
    solo = Solo.start(
        serf=serf(**changes), probe_interval_ns=1000 * SECOND, gossip_interval_ns=gossip
    )
    solo.members(members)
    solo.run_for(2 * SECOND)  # what the joins had to say has been said
    solo.forget()
    return solo


def done(solo: Solo, request: int) -> list[str | None]:
    return [event[2] for event in solo.events_of("done") if event[1] == request]


def when(solo: Solo, kind: str) -> list[int]:
    pairs = zip(solo.events, solo.event_times, strict=True)
    return [at for event, at in pairs if event[0] == kind]


def dead_claims(solo: Solo) -> list[int]:
    return [packet.at for packet in solo.packets("dead")]


def test_a_leave_spreads_its_intent_then_says_goodbye_and_stays_a_while() -> None:
    solo = started()
    start = solo.now
    request = solo.serf.leave(solo.now)
    solo.collect()
    assert solo.serf.state == "leaving"
    assert wire_serf.status(solo, b"self") == "leaving"
    solo.run_for(20 * SECOND)
    assert done(solo, request) == [None]
    assert solo.serf.state == "left"
    intents = [packet.at for packet in solo.packets("user")]
    assert wire_serf.gossiped(solo)[0] == ("leave", {"LTime": 1, "Node": b"self", "Prune": False})
    assert len(intents) == 4
    assert max(intents) <= min(dead_claims(solo)), "the intent comes first"
    (left_at,) = when(solo, "member_leave")
    (done_at,) = when(solo, "done")
    assert left_at == max(intents)
    assert done_at == max(dead_claims(solo)) + SECOND
    assert done_at - start < 5 * SECOND


def test_a_node_answers_pings_while_its_word_propagates() -> None:
    solo = started()
    solo.serf.leave(solo.now)
    solo.run_for(2 * SECOND)
    assert solo.serf.state == "leaving"
    assert dead_claims(solo)
    peer = next(iter(solo.puppets.values()))
    solo.forget()
    solo.hear(peer.ping(7, b"self"), source=peer)
    assert solo.messages("ackResp", to=peer)


def test_where_nobody_listens_each_word_has_its_time_and_the_leave_goes_on() -> None:
    solo = started(broadcast_timeout_ns=3 * SECOND, gossip_interval_ns=1000 * SECOND)
    start = solo.now
    request = solo.serf.leave(solo.now)
    solo.run_for(60 * SECOND)
    assert done(solo, request) == [None]
    assert when(solo, "done") == [start + 7 * SECOND]
    assert when(solo, "member_leave") == [start + 3 * SECOND]


def test_alone_a_node_has_nobody_to_tell_and_waits_only_for_the_delay() -> None:
    solo = started(0)
    start = solo.now
    request = solo.serf.leave(solo.now)
    solo.run_for(10 * SECOND)
    assert done(solo, request) == [None]
    assert when(solo, "done") == [start + SECOND]


def test_a_second_leave_fails_while_the_first_is_under_way_and_is_nothing_after_it() -> None:
    solo = started()
    first = solo.serf.leave(solo.now)
    second = solo.serf.leave(solo.now)
    solo.run_for(20 * SECOND)
    third = solo.serf.leave(solo.now)
    solo.collect()
    assert done(solo, second) == ["Leave already in progress"]
    assert done(solo, first) == done(solo, third) == [None]
    answered = {event[1] for event in solo.events_of("done")}
    assert answered == {first, second, third}, "what the layer itself waited for is told to nobody"


def test_after_a_leave_nobody_can_join_but_events_still_go_out() -> None:
    solo = started()
    solo.serf.leave(solo.now)
    with pytest.raises(RuntimeError, match="Serf can't Join after Leave or Shutdown"):
        solo.serf.joining(False, solo.now)
    solo.serf.event(b"bye", b"", False, solo.now)
    solo.run_for(SECOND)
    assert "userEvent" in {kind for kind, _ in wire_serf.gossiped(solo)}


def test_a_join_that_reached_somebody_says_so_at_the_current_time() -> None:
    solo = started()
    solo.serf.joining(False, solo.now)
    solo.serf.joined(False, 0, solo.now)
    assert solo.serf.clocks()[0] == 1
    solo.serf.joining(False, solo.now)
    solo.serf.joined(False, 1, solo.now)
    assert solo.serf.clocks()[0] == 2
    assert wire_serf.status_ltime(solo, b"self") == 1
    solo.run_for(SECOND)
    assert set(map(repr, wire_serf.gossiped(solo))) == {
        repr(("join", {"LTime": 1, "Node": b"self"}))
    }


# Others.


@pytest.mark.parametrize("prune", [False, True])
def test_a_failed_member_is_made_to_leave_and_the_answer_waits_for_the_word(prune: bool) -> None:
    solo = started(2)
    solo.hear(wire.dead(b"peer-1", 1, b"somebody"))
    solo.run_for(2 * SECOND)
    solo.forget()
    request = solo.serf.force_leave(b"peer-1", prune, solo.now)
    solo.collect()
    assert wire_serf.status(solo, b"peer-1") == ("none" if prune else "left")
    assert solo.kinds() == ["member_leave"] + (["member_reap"] if prune else [])
    assert not done(solo, request)
    solo.run_for(5 * SECOND)
    assert done(solo, request) == [None]
    assert wire_serf.gossiped(solo)[0] == ("leave", {"LTime": 1, "Node": b"peer-1", "Prune": prune})


def test_a_forced_leave_that_nobody_hears_in_time_fails_and_is_answered_once() -> None:
    solo = started(2, gossip_interval_ns=20 * SECOND)
    request = solo.serf.force_leave(b"peer-1", False, solo.now)
    solo.run_for(5 * SECOND)
    assert done(solo, request) == ["timed out broadcasting node removal"]
    solo.run_for(200 * SECOND)
    assert solo.serf.stats()["intents_queued"] == 0
    assert len(done(solo, request)) == 1


def test_forced_leaves_of_strangers_of_oneself_and_alone_are_no_errors() -> None:
    solo = started(0)
    requests = [solo.serf.force_leave(name, False, solo.now) for name in (b"nobody", b"self", b"")]
    solo.collect()
    assert [done(solo, request) for request in requests] == [[None]] * 3
    assert wire_serf.status(solo, b"self") == "alive", "it has refuted that"
    with pytest.raises(ValueError, match="name: 300 bytes"):
        solo.serf.force_leave(b"x" * 300, False, solo.now)


def test_only_so_many_forced_leaves_are_under_way() -> None:
    solo = started(1, gossip_interval_ns=1000 * SECOND)
    requests = [solo.serf.force_leave(b"%d" % at, False, solo.now) for at in range(65)]
    solo.collect()
    assert done(solo, requests[-1]) == ["too many forced leaves are under way"]
    solo.run_for(6 * SECOND)
    assert all(len(done(solo, request)) == 1 for request in requests)
    again = solo.serf.force_leave(b"again", False, solo.now)
    solo.collect()
    assert not done(solo, again)


def test_a_member_that_is_leaving_is_pruned_when_it_has_had_its_time() -> None:
    solo = started(1, broadcast_timeout_ns=2 * SECOND, leave_propagate_delay_ns=SECOND)
    wire_serf.hear(solo, wire_serf.leave_intent(b"peer-0", 5, prune=True))
    solo.run_for(3 * SECOND - 1)
    assert wire_serf.status(solo, b"peer-0") == "leaving"
    solo.run_for(1)
    assert wire_serf.status(solo, b"peer-0") == "none"
    assert solo.kinds() == ["member_reap"]
    assert solo.state(b"peer-0") == "alive", "memberlist knows it still"


def test_a_prune_that_waits_spares_whoever_came_anew_meanwhile() -> None:
    solo = started(1)
    wire_serf.hear(solo, wire_serf.leave_intent(b"peer-0", 5, prune=True))
    solo.hear(wire.dead(b"peer-0", 1, b"peer-0"))
    solo.hear(wire.alive(b"peer-0", bytes((10, 0, 1, 1)), 7946, 9, vsn=wire.SERF_VSN))
    solo.run_for(60 * SECOND)
    assert wire_serf.status(solo, b"peer-0") == "alive"
