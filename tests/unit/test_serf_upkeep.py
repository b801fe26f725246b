"""What time does to a Serf node: reaping, queues; and flapping (Serf §9)."""

from __future__ import annotations

from typing import Any

import pytest

from gossip._core import Serf, Swim
from tests.sim import serf as wire_serf
from tests.sim import wire
from tests.sim.settings import SECOND, lan, serf
from tests.sim.solo import Puppet, Solo

HOUR = 3600 * SECOND


def started(**changes: Any) -> Solo:
    return Solo.start(serf=serf(**changes), probe_interval_ns=HOUR, push_pull_interval_ns=0)


def fail(solo: Solo, *names: bytes) -> None:
    solo.hear(*(wire.dead(name, 1, b"somebody") for name in names))


def leave(solo: Solo, name: bytes) -> None:
    wire_serf.hear(solo, wire_serf.leave_intent(name, 5))
    solo.hear(wire.dead(name, 1, name))


def test_the_failed_and_the_left_are_forgotten_after_their_times() -> None:
    solo = started(
        reap_interval_ns=SECOND, reconnect_timeout_ns=60 * SECOND, tombstone_timeout_ns=30 * SECOND
    )
    solo.members(3)
    fail(solo, b"peer-0")
    leave(solo, b"peer-1")
    solo.forget()
    solo.run_for(30 * SECOND)
    assert wire_serf.lists(solo) == ["failed:peer-0", "left:peer-1"]
    solo.run_for(2 * SECOND)
    assert wire_serf.lists(solo) == ["failed:peer-0"]
    solo.run_for(30 * SECOND)
    assert wire_serf.lists(solo) == []
    assert [event[1][0] for event in solo.events_of("member_reap")] == [b"peer-1", b"peer-0"]
    assert wire_serf.status(solo, b"peer-2") == "alive"
    assert solo.serf.stats()["reaped"] == 2


def test_a_member_may_have_a_time_of_its_own_for_both_lists() -> None:
    solo = started(
        reap_interval_ns=SECOND, reconnect_timeout_ns=10 * SECOND, tombstone_timeout_ns=10 * SECOND
    )
    solo.members(3)
    solo.serf.set_reconnect_timeout(b"peer-0", HOUR)
    solo.serf.set_reconnect_timeout(b"peer-1", HOUR)
    solo.serf.set_reconnect_timeout(b"peer-2", HOUR)
    solo.serf.set_reconnect_timeout(b"peer-2", None)
    solo.serf.set_reconnect_timeout(b"nobody", HOUR)
    fail(solo, b"peer-0", b"peer-2")
    leave(solo, b"peer-1")
    solo.run_for(60 * SECOND)
    assert wire_serf.lists(solo) == ["failed:peer-0", "left:peer-1"]
    solo.run_for(HOUR)
    assert wire_serf.lists(solo) == []
    with pytest.raises(ValueError, match="timeout_ns: -1"):
        solo.serf.set_reconnect_timeout(b"peer-0", -1)


def test_many_are_reaped_in_goes_of_bounded_work() -> None:
    solo = started(
        reap_interval_ns=SECOND, reconnect_timeout_ns=5 * SECOND, tombstone_timeout_ns=5 * SECOND,
        recent_intent_timeout_ns=5 * SECOND, reconnect_interval_ns=0,
    )  # fmt: skip
    names = [b"m-%d" % number for number in range(2000)]
    for number, name in enumerate(names):
        address = bytes((10, 1, number // 250, number % 250 + 1))
        solo.hear(wire.alive(name, address, 7946, 1, vsn=wire.SERF_VSN))
    for name in names[:1200]:
        fail(solo, name)
    for name in names[1200:]:
        leave(solo, name)
    for number in range(700):
        wire_serf.hear(solo, wire_serf.join_intent(b"far-%d" % number, 9))
    stats = solo.serf.stats()
    assert (stats["failed"], stats["left"], stats["recent_intents"]) == (1200, 800, 700)
    solo.forget()
    most = 0
    end = solo.now + 8 * SECOND
    while solo.now < end:
        before = solo.serf.stats()["reaped"]
        solo.run_until(min(end, solo.next_step()))
        most = max(most, solo.serf.stats()["reaped"] - before)
    assert 0 < most <= 500
    stats = solo.serf.stats()
    assert (stats["members"], stats["reaped"], stats["recent_intents"]) == (1, 2000, 0)
    assert len(solo.events_of("member_reap")) == 2000


def test_intents_about_strangers_are_forgotten_in_time_and_bounded_in_number() -> None:
    solo = started(recent_intent_timeout_ns=60 * SECOND)
    wire_serf.hear(solo, wire_serf.join_intent(b"early", 3))
    solo.run_for(50 * SECOND)
    wire_serf.hear(solo, wire_serf.leave_intent(b"late", 4))
    solo.run_for(30 * SECOND)
    assert solo.serf.recent_intent(b"early") is None
    assert solo.serf.recent_intent(b"late") == ("leave", 4)
    for start in range(0, 17_000, 100):
        names = [b"name-%d" % number for number in range(start, start + 100)]
        wire_serf.hear(solo, *(wire_serf.join_intent(name, 9) for name in names))
    assert solo.serf.stats()["recent_intents"] == 16_384
    assert solo.serf.recent_intent(b"late") is None, "the oldest went first"
    assert solo.serf.recent_intent(b"name-16999") == ("join", 9)


def dialled(solo: Solo, puppet: Puppet) -> int:
    return sum(stream.ip == puppet.ip for stream in solo.dialled)


def test_a_node_that_has_left_calls_nobody() -> None:
    solo = started(reconnect_interval_ns=10 * SECOND)
    peer = solo.member("peer")
    fail(solo, b"peer")
    solo.serf.leave(solo.now)
    solo.run_for(600 * SECOND)
    assert dialled(solo, peer) == 0


def test_who_comes_back_within_the_flap_timeout_has_flapped() -> None:
    for pause, flapped in ((30, 1), (90, 0)):
        solo = started(flap_timeout_ns=60 * SECOND)
        peer = solo.member("peer")
        fail(solo, b"peer")
        solo.run_for(pause * SECOND)
        solo.forget()
        solo.hear(peer.alive(9))
        expected = ["joined", "member_join"] + ["member_flapped"] * flapped
        assert solo.kinds(ignoring=["healed"]) == expected
        assert solo.serf.stats()["flaps"] == flapped
        assert solo.serf.member(b"peer")[7] == 0, "it is not gone any more"  # type: ignore[index]


def test_long_queues_are_told_of_and_cut() -> None:
    solo = started(queue_check_interval_ns=SECOND, queue_depth_warning=50, max_queue_depth=100)
    for number in range(60):
        solo.serf.event(b"e", b"%d" % number, False, solo.now)
    for number in range(150):
        wire_serf.hear(solo, wire_serf.join_intent(b"far-%d" % number, 5))
    solo.run_for(SECOND)
    assert solo.events_of("queue_deep") == [
        ("queue_deep", "intents", 150), ("queue_deep", "events", 60),
    ]  # fmt: skip
    stats = solo.serf.stats()
    assert (stats["intents_queued"], stats["events_queued"]) == (100, 60)


def test_a_least_depth_counts_in_place_of_the_most_and_grows_with_the_pool() -> None:
    solo = started(
        queue_check_interval_ns=SECOND, max_queue_depth=1, min_queue_depth=70,
        queue_depth_warning=10_000,
    )  # fmt: skip
    for number in range(150):
        wire_serf.hear(solo, wire_serf.join_intent(b"far-%d" % number, 5))
    solo.run_for(SECOND)
    assert solo.serf.stats()["intents_queued"] == 70
    assert not solo.events_of("queue_deep")


# What a Serf layer is attached to.


def swim(**changes: int) -> Swim:
    return Swim(lan(**changes), name=b"self", address=bytes((10, 0, 0, 1)), port=7946, seed=1)


def test_a_layer_is_attached_once_and_before_the_start() -> None:
    core = swim()
    layer = Serf(core, serf())
    with pytest.raises(RuntimeError, match="has a Serf layer"):
        Serf(core, serf())
    core.start(SECOND)
    with pytest.raises(RuntimeError, match="started before"):
        layer.restore(1, 1, 1)
    late = swim()
    late.start(SECOND)
    with pytest.raises(RuntimeError, match="the node was started before"):
        Serf(late, serf())


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"event_buffer": 0}, "event_buffer: 0, not within 1 to 65536"),
        ({"query_buffer": 70_000}, "query_buffer: 70000"),
        ({"user_event_size_limit": 9217}, "user_event_size_limit: 9217, at most 9216"),
        ({"query_size_limit": 9217}, "query_size_limit: 9217"),
        ({"query_response_size_limit": 9217}, "query_response_size_limit: 9217"),
        ({"reap_interval_ns": -1}, "reap_interval_ns: -1 is below 0"),
    ],
)
def test_a_bad_setting_is_named(changes: dict[str, int], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Serf(swim(), serf(**changes))


def test_missing_and_unknown_settings_are_named() -> None:
    settings = serf()
    del settings["flap_timeout_ns"]
    with pytest.raises(ValueError, match=r"unknown \['more'\], missing \['flap_timeout_ns'\]"):
        Serf(swim(), settings | {"more": 1})


def test_nothing_is_asked_of_a_layer_whose_core_has_not_started() -> None:
    layer = Serf(swim(), serf())
    for call in (
        lambda: layer.event(b"e", b"", False, SECOND),
        lambda: layer.query(b"q", b"", SECOND),
        lambda: layer.leave(SECOND),
        lambda: layer.joining(False, SECOND),
    ):
        with pytest.raises(RuntimeError, match="not started"):
            call()
    assert layer.members() == []
    assert layer.member(b"self") is None
    assert layer.stats()["members"] == 0


def test_a_living_member_that_is_said_to_be_leaving_is_asked_until_it_refutes() -> None:
    solo = started(reap_interval_ns=SECOND)
    peer, other = solo.members(2)
    wire_serf.hear(solo, wire_serf.leave_intent(peer.name, 7))
    solo.run_for(SECOND + SECOND // 2)
    news = ("leave", {"LTime": 8, "Node": peer.name, "Prune": False})
    assert news not in wire_serf.gossiped(solo), "at the first look it may well be leaving"
    solo.forget()
    solo.run_for(3 * SECOND)
    asked = [
        wire_serf.read(message.payload)
        for message in solo.messages("user", to=peer)
        if message.payload[0] == wire_serf.LEAVE
    ]
    assert asked.count(news) == 3, "what it hears by gossip beside that has the time 7"
    assert wire_serf.status(solo, peer.name) == "leaving"
    assert news not in [wire_serf.read(each.payload) for each in solo.messages("user", to=other)]
    wire_serf.hear(solo, wire_serf.join_intent(peer.name, 9))
    solo.forget()
    solo.run_for(3 * SECOND)
    assert wire_serf.status(solo, peer.name) == "alive"
    assert news not in wire_serf.gossiped(solo)


def test_no_more_than_eight_are_asked_at_a_time() -> None:
    solo = started(reap_interval_ns=SECOND)
    peers = solo.members(20)
    wire_serf.hear(solo, *(wire_serf.leave_intent(peer.name, 7) for peer in peers))
    solo.run_for(SECOND + SECOND // 2)
    solo.forget()
    solo.run_for(SECOND)
    asked = {body["Node"] for kind, body in wire_serf.gossiped(solo) if body["LTime"] == 8}
    assert len(asked) == 8
    solo.run_for(60 * SECOND)
    asked = {body["Node"] for kind, body in wire_serf.gossiped(solo) if body["LTime"] == 8}
    assert asked == {peer.name for peer in peers}, "each in its turn"
