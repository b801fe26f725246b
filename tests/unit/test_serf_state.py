"""The user state of a push/pull: what a core writes, and what it makes of others' (Serf §5)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sim import serf as wire_serf
from tests.sim import wire
from tests.sim.settings import SECOND, serf
from tests.sim.solo import Solo

VECTORS = Path(__file__).parents[1] / "vectors"
CEILING = 1 << 62
STATES = [
    vector
    for vector in json.loads((VECTORS / "serf_messages.json").read_text())
    if vector["name"].startswith("push-pull")
]


def state(**fields: Any) -> bytes:
    body: dict[str, Any] = {
        "LTime": 0, "StatusLTimes": {}, "LeftMembers": [], "EventLTime": 0, "Events": [],
        "QueryLTime": 0,
    }  # fmt: skip
    assert fields.keys() <= body.keys()
    return wire.message(wire_serf.PUSH_PULL, body | fields)


def moment(ltime: int, *events: tuple[bytes, bytes | None]) -> dict[str, Any]:
    listed = [{"Name": name, "Payload": payload} for name, payload in events]
    return {"Events": listed, "LTime": ltime}


def merge(solo: Solo, user_state: bytes, *, join: bool = False) -> dict[str, Any]:
    """Push/pull with the core as its caller; gives the state it answered with."""
    peer = solo.puppets.get((bytes((10, 0, 1, 1)), 7946)) or solo.puppet("peer")
    request = wire.push_pull([peer.entry()], join=join, user_state=user_state)
    stream = solo.dial(request, ends=True)
    solo.run_for(SECOND)
    return wire.read_stream(stream.written, reply=True)


def state_written(solo: Solo) -> dict[bytes, Any]:
    answer = merge(solo, b"")
    kind, body = wire_serf.read(answer["user_state"])
    assert kind == "pushPull"
    return {key.encode(): value for key, value in body.items()}


def test_the_state_names_every_member_its_status_time_and_who_left() -> None:
    solo = Solo.start(serf=serf())
    solo.members(3)
    wire_serf.hear(solo, wire_serf.leave_intent(b"peer-1", 7), wire_serf.join_intent(b"peer-2", 9))
    solo.hear(wire.dead(b"peer-1", 1, b"peer-1"))
    wire_serf.hear(solo, wire_serf.user_event(b"deploy", 4, b"x"))
    wire_serf.hear(solo, wire_serf.user_event(b"deploy", 4, None), wire_serf.query(b"q", 20, 1))
    written = state_written(solo)
    assert list(written) == sorted(written)
    assert written[b"StatusLTimes"] == {b"self": 0, b"peer-0": 0, b"peer-1": 7, b"peer-2": 9}
    assert written[b"LeftMembers"] == [b"peer-1"]
    assert written[b"Events"] == [
        {
            b"Events": [
                {b"Name": b"deploy", b"Payload": b"x"},
                {b"Name": b"deploy", b"Payload": None},
            ],
            b"LTime": 4,
        },
    ]
    clocks = solo.serf.clocks()
    assert clocks == (10, 5, 21)
    assert (written[b"LTime"], written[b"EventLTime"], written[b"QueryLTime"]) == clocks


def test_an_empty_and_a_nil_payload_are_the_same_event() -> None:
    solo = Solo.start(serf=serf())
    wire_serf.hear(solo, wire_serf.user_event(b"e", 4, b""), wire_serf.user_event(b"e", 4, None))
    assert solo.kinds().count("user_event") == 1


@pytest.mark.parametrize("vector", STATES, ids=lambda vector: vector["name"])
def test_a_state_of_real_serf_is_merged(vector: dict[str, Any]) -> None:
    body = vector["decoded"]["body"]
    solo = Solo.start(serf=serf())
    merge(solo, bytes.fromhex(vector["hex"]))
    statuses, left = body["StatusLTimes"] or {}, body["LeftMembers"] or []
    for name, ltime in statuses.items():
        kind, time = ("leave", ltime + 1) if name in left else ("join", ltime)
        expected = (kind, time) if time < CEILING else None
        assert solo.serf.recent_intent(name.encode()) == expected
    for name in left:
        if name not in statuses:
            assert solo.serf.recent_intent(name.encode()) == ("leave", 1)
    told = {event[2] for event in solo.events if event[0] == "user_event"}
    clock = solo.serf.clocks()[1]
    slots = [slot for slot in body["Events_non_nil"] if slot["LTime"] >= clock - 512]
    listed = {event["Name"].encode() for slot in slots for event in slot["Events"]}
    assert told == listed
    assert solo.dropped("decode") == 0
    times = [body["LTime"] - 1, *statuses.values()]
    beyond = [time for time in times if time >= CEILING]
    assert (solo.dropped("lamport_jump") > 0) == bool(beyond) or body["EventLTime"] > CEILING
    assert solo.serf.clocks()[0] > max([0, *(time for time in times if time < CEILING)])


def test_the_states_seen_are_not_only_empty_ones() -> None:
    assert sum(bool(vector["decoded"]["body"]["Events_non_nil"]) for vector in STATES) >= 5


def test_who_left_is_merged_before_the_rest_and_nothing_is_passed_on() -> None:
    solo = Solo.start(serf=serf())
    solo.members(2)
    solo.forget()
    merge(
        solo,
        state(LTime=30, StatusLTimes={"peer-0": 4, "peer-1": 20}, LeftMembers=["peer-0", "gone"]),
    )
    assert wire_serf.status(solo, b"peer-0") == "leaving"
    assert wire_serf.status_ltime(solo, b"peer-0") == 5
    assert wire_serf.status_ltime(solo, b"peer-1") == 20
    assert solo.serf.recent_intent(b"gone") == ("leave", 1)
    assert solo.serf.clocks()[0] == 30
    assert solo.serf.stats()["intents_queued"] == 0


def test_a_node_that_is_said_to_have_left_refutes_it() -> None:
    solo = Solo.start(serf=serf())
    solo.members(1)
    merge(solo, state(LTime=9, StatusLTimes={"self": 7}, LeftMembers=["self"]))
    assert wire_serf.status(solo, b"self") == "alive"
    solo.run_for(SECOND)
    intents = [body for kind, body in wire_serf.gossiped(solo) if kind == "join"]
    assert intents
    assert intents[0] == {"LTime": 9, "Node": b"self"}
    assert wire_serf.status_ltime(solo, b"self") == 9


def test_events_come_once_whether_gossiped_or_in_a_state_and_are_not_coalesced() -> None:
    solo = Solo.start(serf=serf())
    wire_serf.hear(solo, wire_serf.user_event(b"known", 3, b"x", cc=True))
    events = [None, moment(3, (b"known", b"x"), (b"new", b"y")), None, moment(4, (b"new", b"y"))]
    merge(solo, state(EventLTime=5, Events=events))
    merge(solo, state(EventLTime=5, Events=events))
    assert [event for event in solo.events if event[0] == "user_event"] == [
        ("user_event", 3, b"known", b"x", True),
        ("user_event", 3, b"new", b"y", False),
        ("user_event", 4, b"new", b"y", False),
    ]
    assert {body["Name"] for kind, body in wire_serf.gossiped(solo) if kind == "userEvent"} == {
        b"known"
    }


def test_a_join_that_ignores_old_events_is_told_only_of_newer_ones() -> None:
    solo = Solo.start(serf=serf())
    solo.serf.joining(True, solo.now)
    merge(solo, state(EventLTime=9, Events=[moment(8, (b"old", b""))]), join=True)
    solo.serf.joined(True, 1, solo.now)
    wire_serf.hear(solo, wire_serf.user_event(b"older", 8), wire_serf.user_event(b"new", 9))
    assert [event[2] for event in solo.events if event[0] == "user_event"] == [b"new"]


def test_a_join_that_does_not_and_a_push_pull_that_is_none_tell_of_old_events() -> None:
    for ignoring, join in ((False, True), (True, False)):
        solo = Solo.start(serf=serf())
        solo.serf.joining(ignoring, solo.now)
        merge(solo, state(EventLTime=9, Events=[moment(8, (b"old", b""))]), join=join)
        assert [event[2] for event in solo.events if event[0] == "user_event"] == [b"old"]


@pytest.mark.parametrize("nothing", [b"\x02\xc0", b"\x02\x80", b"\x02\x90"])
def test_a_state_of_nothing_is_legal_and_changes_nothing(nothing: bytes) -> None:
    solo = Solo.start(serf=serf())
    before = solo.serf.clocks()
    merge(solo, nothing)
    assert solo.serf.clocks() == before
    assert solo.dropped("decode") == 0


def test_a_state_as_an_array_has_its_fields_in_declaration_order() -> None:
    solo = Solo.start(serf=serf())
    fields = [12, {b"far": 6}, [b"away"], 5, [moment(4, (b"e", b""))], 21]
    merge(solo, bytes((2,)) + wire.pack(fields))
    assert solo.serf.clocks() == (12, 5, 21)
    assert solo.serf.recent_intent(b"far") == ("join", 6)
    assert solo.serf.recent_intent(b"away") == ("leave", 1)
    assert len(solo.events_of("user_event")) == 1


GOOD = state(LTime=9, StatusLTimes={"far": 3}, LeftMembers=["away"])
BAD = {
    "another type": b"\x03" + GOOD[1:],
    "no map": b"\x02\xa3abc",
    "a number for a list": state(LTime=9, LeftMembers=7),
    "a list for a map": state(LTime=9, StatusLTimes=[1, 2]),
    "a text for a clock": state(LTime=9, EventLTime="x"),
    **{f"cut to {length} bytes": GOOD[:length] for length in range(1, len(GOOD), 7)},
}


@pytest.mark.parametrize("what", BAD)
def test_of_a_state_that_is_none_nothing_is_merged(what: str) -> None:
    solo = Solo.start(serf=serf())
    merge(solo, BAD[what])
    assert solo.serf.clocks() == (1, 1, 1)
    assert solo.serf.stats()["recent_intents"] == 0
    assert solo.dropped("decode") == 1


def test_more_events_than_any_ring_holds_are_cut_off_and_counted() -> None:
    solo = Solo.start(serf=serf(event_buffer=65536))
    slots = [moment(1 + number // 8, (b"%d" % number, b"")) for number in range(70_000)]
    merge(solo, state(EventLTime=9000, Events=slots))
    assert len(solo.events_of("user_event")) == 65_536
    assert solo.dropped("state_events") == 1


def test_a_core_without_a_serf_layer_hands_the_state_to_its_user_as_before() -> None:
    solo = Solo.start()
    peer = solo.puppet("peer")
    solo.dial(wire.push_pull([peer.entry()], user_state=b"anything"), ends=True)
    assert solo.events_of("state") == [("state", b"anything", False)]


def test_a_core_may_end_amid_the_merging_of_a_state() -> None:
    """What the session holds of it is the layer's, which therefore goes after the sessions."""
    solo = Solo.start(serf=serf())
    peer = solo.puppet("peer")
    names = {b"name-%d" % number: number for number in range(5000)}
    request = wire.push_pull([peer.entry()], user_state=state(StatusLTimes=names, LTime=5000))
    swim = solo.swim
    stream = swim.accept_stream(peer.ip, peer.port, solo.now)
    swim.stream_received(stream, request, solo.now)
    for _ in range(3):
        swim.tick(solo.now)
    deadline = swim.next_deadline()
    assert deadline is not None
    assert deadline[1] == "work", "it is amid the state"
    assert 0 < solo.serf.stats()["recent_intents"] < 5000
    del swim, solo
