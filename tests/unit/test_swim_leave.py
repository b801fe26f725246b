"""Leaving, updating, coming back: protocol §19.5 and §21."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sim import wire
from tests.sim.settings import MILLISECOND, SECOND
from tests.sim.solo import Puppet, Solo

ME = Puppet(b"self", bytes((10, 0, 0, 1)))


def answers(solo: Solo, request: int) -> list[tuple[Any, ...]]:
    return [event[2:] for event in solo.events if event[:2] == ("done", request)]


def test_a_leave_is_done_when_the_word_has_been_spread() -> None:
    solo = Solo.start()
    solo.members(3)
    solo.run_for(10 * SECOND)
    solo.forget()
    request = solo.swim.leave(solo.now)
    solo.collect()
    assert solo.state(b"self") == "left"
    assert not answers(solo, request)
    solo.run_while(lambda: not answers(solo, request), limit=2 * SECOND)
    assert answers(solo, request) == [(None, 0)]
    farewells = solo.messages("dead")
    assert len(farewells) == 4, "the transmit limit of four nodes"
    assert {tuple(sorted(word.body.items())) for word in farewells} == {
        (("From", "self"), ("Incarnation", 1), ("Node", "self"))
    }


def test_a_leave_alone_is_done_at_once() -> None:
    solo = Solo.start()
    request = solo.swim.leave(solo.now)
    solo.collect()
    assert answers(solo, request) == [(None, 0)]


@pytest.mark.parametrize("end", [wire.dead(b"peer", 1, b"x"), wire.dead(b"peer", 1, b"peer")])
def test_a_leave_among_the_gone_is_done_at_once(end: bytes) -> None:
    solo = Solo.start()
    solo.member("peer")
    solo.hear(end)
    request = solo.swim.leave(solo.now)
    solo.collect()
    assert answers(solo, request) == [(None, 0)]


def test_a_leave_is_done_when_the_last_other_leaves_too() -> None:
    solo = Solo.start()
    solo.member("peer")
    request = solo.swim.leave(solo.now)
    solo.hear(wire.dead(b"peer", 1, b"peer"))
    assert not answers(solo, request)
    solo.run_while(lambda: not answers(solo, request), limit=SECOND)
    assert answers(solo, request) == [(None, 0)]
    solo.run_for(5 * SECOND)
    assert len(answers(solo, request)) == 1


def test_who_has_left_still_answers_pings() -> None:
    solo = Solo.start()
    peer = solo.member("peer")
    solo.swim.leave(solo.now)
    solo.collect()
    solo.hear(peer.ping(5, b"self"), source=peer)
    assert [ack["SeqNo"] for ack in solo.messages("ackResp")] == [5]


def test_who_has_left_refutes_nothing_any_more() -> None:
    solo = Solo.start()
    solo.member("peer")
    solo.swim.leave(solo.now)
    solo.collect()
    solo.hear(ME.alive(9), wire.suspect(b"self", 9, b"peer"), wire.dead(b"self", 9, b"peer"))
    assert (solo.state(b"self"), solo.incarnation(), solo.swim.health_score) == ("left", 1, 0)


def test_a_second_leave_says_that_it_is_one() -> None:
    solo = Solo.start()
    solo.swim.leave(solo.now)
    request = solo.swim.leave(solo.now)
    solo.collect()
    ((error, _),) = answers(solo, request)
    assert error


def test_an_update_is_a_new_incarnation_that_is_spread() -> None:
    solo = Solo.start(meta=b"old")
    solo.members(3)
    solo.run_for(10 * SECOND)
    solo.forget()
    request = solo.swim.update_meta(b"new", solo.now)
    solo.collect()
    assert (solo.incarnation(), solo.row(b"self")[3]) == (2, b"new")
    solo.run_while(lambda: not answers(solo, request), limit=2 * SECOND)
    claims = [claim for claim in solo.messages("alive") if claim["Node"] == "self"]
    assert {(claim["Incarnation"], claim["Meta"]) for claim in claims} == {(2, b"new")}
    assert len(claims) == 4


def test_an_update_is_in_the_next_push_pull_and_refutation() -> None:
    solo = Solo.start(meta=b"old")
    solo.swim.update_meta(b"new", solo.now)
    solo.hear(wire.suspect(b"self", 2, b"x"))
    stream = solo.dial(wire.push_pull([]))
    (node,) = wire.read_stream(stream.written, reply=True)["nodes"]
    assert (node["Incarnation"], node["Meta"]) == (3, b"new")


def test_an_update_displaced_by_a_newer_one_is_done() -> None:
    solo = Solo.start()
    solo.members(3)
    first = solo.swim.update_meta(b"one", solo.now)
    second = solo.swim.update_meta(b"two", solo.now)
    solo.run_for(200 * MILLISECOND)
    assert answers(solo, first) == [(None, 0)]
    assert not answers(solo, second)


def test_metadata_over_its_limit_is_refused_and_changes_nothing() -> None:
    solo = Solo.start(meta=b"old")
    with pytest.raises(ValueError, match="512"):
        solo.swim.update_meta(bytes(513), solo.now)
    assert (solo.incarnation(), solo.row(b"self")[3]) == (1, b"old")
    solo.swim.update_meta(bytes(512), solo.now)
    assert solo.row(b"self")[3] == bytes(512)


def test_no_update_after_a_leave() -> None:
    solo = Solo.start()
    solo.swim.leave(solo.now)
    request = solo.swim.update_meta(b"new", solo.now)
    solo.collect()
    ((error, _),) = answers(solo, request)
    assert error
    assert solo.incarnation() == 1


def test_after_a_shutdown_nothing_is_sent() -> None:
    solo = Solo.start()
    peer = solo.member("peer")
    solo.collect()
    solo.forget()
    solo.swim.shutdown()
    assert solo.swim.next_deadline() is None
    solo.hear(peer.ping(1, b"self"), source=peer)
    solo.swim.tick(solo.now + 10 * SECOND)
    solo.collect()
    assert not solo.sent


# A name that comes back.


def gone(end: bytes, **changes: Any) -> tuple[Solo, Puppet, Puppet]:
    """A member that has gone, and the same name at another address."""
    solo = Solo.start(**changes)
    peer = solo.member("peer", incarnation=7)
    solo.hear(end)
    solo.forget()
    return solo, peer, Puppet(b"peer", bytes((10, 5, 5, 5)))


LEFT = wire.dead(b"peer", 7, b"peer")
DEAD = wire.dead(b"peer", 7, b"x")


def test_who_left_may_come_back_at_another_address_with_a_lower_incarnation() -> None:
    solo, _, again = gone(LEFT)
    solo.hear(again.alive(1))
    assert (solo.state(b"peer"), solo.incarnation(b"peer")) == ("alive", 1)
    assert solo.row(b"peer")[1] == again.ip
    assert solo.kinds() == ["joined"]


def test_the_dead_may_not_come_back_at_another_address() -> None:
    solo, _, again = gone(DEAD)
    solo.hear(again.alive(8))
    assert solo.state(b"peer") == "dead"
    assert solo.kinds() == ["conflict"]


def test_the_dead_may_come_back_when_the_reclaim_time_has_passed() -> None:
    solo, _, again = gone(DEAD, dead_node_reclaim_time_ns=10 * SECOND)
    solo.run_for(10 * SECOND)
    solo.hear(again.alive(1))
    assert solo.state(b"peer") == "dead", "exactly the time is not more than it"
    solo.run_for(1)
    solo.hear(again.alive(1))
    assert (solo.state(b"peer"), solo.incarnation(b"peer")) == ("alive", 1)


def test_the_dead_may_come_back_when_the_table_has_forgotten_them() -> None:
    solo, _, again = gone(DEAD, gossip_to_the_dead_time_ns=5 * SECOND)
    solo.run_for(10 * SECOND)
    assert solo.state(b"peer") == "unknown"
    solo.hear(again.alive(1))
    assert solo.state(b"peer") == "alive"


@pytest.mark.parametrize("end", [LEFT, DEAD])
def test_at_the_old_address_only_a_newer_incarnation_comes_back(end: bytes) -> None:
    solo, peer, _ = gone(end)
    solo.hear(peer.alive(7))
    assert solo.state(b"peer") != "alive"
    solo.hear(peer.alive(8))
    assert solo.state(b"peer") == "alive"
    assert solo.kinds(ignoring=["healed"]) == ["joined"]


def test_the_gone_are_kept_for_a_while_and_then_forgotten() -> None:
    solo, _, _ = gone(DEAD, gossip_to_the_dead_time_ns=5 * SECOND)
    solo.run_for(4 * SECOND)
    assert solo.state(b"peer") == "dead"
    solo.run_for(4 * SECOND)
    assert solo.state(b"peer") == "unknown"
    assert solo.swim.member_count == 1
    assert solo.now % MILLISECOND == 0
