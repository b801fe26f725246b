"""Every row of the golden state table, driven by datagrams and observed in datagrams and events.

A row's broadcasts are what the message *adds*: the same node is run twice, once without it, and an
observer that joins afterwards collects what either queue holds.
"""

from __future__ import annotations

from typing import Any

import pytest

from gossip._core import verdict
from tests.sim.settings import MILLISECOND, SECOND
from tests.sim.solo import Puppet, Solo
from tests.sim.wire import Message, dead, suspect
from tests.unit.vectors import load

ROWS = load("state_table")
RECLAIM = {"off": 0, "not-elapsed": 60 * SECOND, "elapsed": 50 * MILLISECOND, None: 0}
FACTS = {
    "joined": "join", "updated": "update", "failed": "leave", "left": "leave",
    "conflict": "conflict",
}  # fmt: skip
FIELDS = ("Node", "Incarnation", "From")

# `leave` marks the node leaving and processes its own dead message in one call, so no datagram can
# come in between; what the rules say of that moment is asked of the rules themselves.
BETWEEN = [row for row in ROWS if row.get("leaving") and row["state_before"] == "alive"]
DRIVEN = [row for row in ROWS if row not in BETWEEN]


def name_of(row: dict[str, Any]) -> str:
    keys = ("target", "state_before", "message", "incarnation_relation", "address", "meta",
            "dead_node_reclaim", "leaving", "known_nodes_incl_self")  # fmt: skip
    return "-".join(str(row[key]) for key in keys if row.get(key) is not None)


def prepare(row: dict[str, Any]) -> tuple[Solo, Puppet]:
    """The local node at incarnation 5 with health score 3, and `peer` in the row's state."""
    reclaim = RECLAIM[row.get("dead_node_reclaim")]
    solo = Solo.start(dead_node_reclaim_time_ns=reclaim)
    for accused in (1, 2, 4):
        solo.hear(suspect(b"self", accused, b"someone"))
    assert (solo.incarnation(), solo.swim.health_score) == (5, 3)
    peer = solo.puppet("peer", incarnation=5, meta=b"meta")
    if row["target"] == "other" and row["state_before"] != "unknown":
        solo.hear(peer.alive())
        for number in range(row["known_nodes_incl_self"] - 2):
            solo.member(f"more-{number}")
        if row["state_before"] != "alive":
            solo.hear(cause(row["state_before"]))
        assert solo.state(b"peer") == row["state_before"]
    if row.get("leaving"):
        solo.swim.leave(solo.now)
    solo.collect()
    if row.get("dead_node_reclaim") == "elapsed":
        solo.run_for(100 * MILLISECOND)
    solo.forget()
    return solo, peer


def cause(state: str) -> bytes:
    if state == "suspect":
        return suspect(b"peer", 5, b"first")
    return dead(b"peer", 5, b"x" if state == "dead" else b"peer")


def message_of(row: dict[str, Any], solo: Solo, peer: Puppet) -> bytes:
    relation = row["incarnation_relation"]
    offset = {"older": 4, "equal": 5, "newer": 6}
    incarnation = offset.get(relation)
    if incarnation is None:
        incarnation = int(relation.removeprefix("inc="))
    own = row["target"] == "self"
    target = b"self" if own else b"peer"
    match row["message"]:
        case "suspect-same-accuser":
            return suspect(target, incarnation, b"first")
        case "suspect-new-accuser":
            return suspect(target, incarnation, b"second")
        case "dead":
            return dead(target, incarnation, b"x")
        case "dead-from-node-itself":
            return dead(target, incarnation, target)
        case _:
            about = Puppet(b"self", bytes((10, 0, 0, 1)), meta=b"") if own else peer
            meta = b"changed" if row["meta"] == "changed" else about.meta
            addr = bytes((10, 9, 9, 9)) if row["address"] == "different" else about.ip
            return about.alive(meta=meta, addr=addr, incarnation=incarnation)


def queued(solo: Solo) -> set[tuple[Any, ...]]:
    """All that the node would tell, collected by a member that joins now and pings for it."""
    observer = solo.member("observer")
    found: set[tuple[Any, ...]] = set()
    for sequence in range(64):
        solo.hear(observer.ping(sequence, b"self"), source=observer)
        answer = solo.sent[-1].messages
        assert answer[0].kind == "ackResp"
        claims = {key(message) for message in answer[1:]}
        if not claims:
            return {claim for claim in found if claim[1] != "observer"}
        found |= claims
    raise AssertionError("the queue never empties")


def key(message: Message) -> tuple[Any, ...]:
    rest = {name: value for name, value in message.body.items() if name not in FIELDS}
    return (message.kind, *(message.body.get(name) for name in FIELDS), repr(sorted(rest.items())))


def expected_broadcasts(row: dict[str, Any]) -> set[tuple[Any, ...]]:
    return {(item["type"], *(item[name] for name in FIELDS)) for item in row["broadcasts"]}


@pytest.mark.parametrize("row", DRIVEN, ids=name_of)
def test_a_row_of_the_state_table(row: dict[str, Any]) -> None:
    control, _ = prepare(row)
    solo, peer = prepare(row)
    target = row["target"].replace("other", "peer").encode()
    health = solo.swim.health_score
    solo.hear(message_of(row, solo, peer))

    if (row["message"], row["incarnation_relation"]) == ("alive", "inc=0"):
        # memberlist keeps a dead row at incarnation 0; a name nobody claims is worth no memory.
        assert solo.state(target) == "unknown"
    else:
        assert solo.state(target) == row["state_after"]
        if row["state_after"] != "unknown":
            assert solo.incarnation(target) == row["incarnation_after"]
    assert solo.swim.health_score - health == row["health_delta"]
    facts = [FACTS[event[0]] for event in solo.events if event[0] in FACTS]
    assert facts == row["events"]
    added = queued(solo) - queued(control)
    assert {claim[:-1] for claim in added} == expected_broadcasts(row)
    check_suspicion_timer(row, solo, target)


def check_suspicion_timer(row: dict[str, Any], solo: Solo, target: bytes) -> None:
    """A running timer ends in failure within its maximum; without one nothing happens by itself."""
    if row["target"] == "self" or row["state_after"] == "unknown":
        return
    row_now = solo.swim.member(target)
    if row_now is None:
        return
    if row.get("address") == "different":
        moved = Puppet(b"peer", row_now[1], row_now[2])
        solo.puppets[moved.ip, moved.port] = moved
    solo.run_for(25 * SECOND)
    if row["suspicion_timer_after"]:
        assert solo.state(target) == "dead"
        assert len(solo.events_of("failed", target)) == 1
    else:
        assert solo.state(target) == row["state_after"]


# What a verdict does to the state, the events and the health: the other half of the rule.
EFFECTS = {
    "ignore": ("alive", [], 0), "conflict": ("alive", ["conflict"], 0), "refute": ("alive", [], 1),
    "fail": ("dead", ["leave"], 0), "leave": ("left", ["leave"], 0),
}  # fmt: skip


@pytest.mark.parametrize("row", BETWEEN, ids=name_of)
def test_a_row_between_the_call_of_leave_and_the_own_dead_message(row: dict[str, Any]) -> None:
    judged = verdict(
        row["message"].split("-")[0], row["state_before"], row["incarnation_relation"],
        is_self=True, leaving=True, same_address=row.get("address") != "different",
        same_content=row.get("meta") != "changed",
        graceful=row["message"] == "dead-from-node-itself",
    )  # fmt: skip
    assert EFFECTS[judged] == (row["state_after"], row["events"], row["health_delta"])


def test_every_row_is_tested() -> None:
    assert len(ROWS) == len(DRIVEN) + len(BETWEEN) == 125
    assert len(DRIVEN) >= 110
