"""Every row of the member table that real Serf was seen to follow, driven through the core.

Rows begin from states that the recorder poked in; here each is reached by messages, which move the
clock as well. So a row's clock is compared where it says something: what the message did to it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sim import serf as wire_serf
from tests.sim import wire
from tests.sim.settings import MILLISECOND, SECOND, serf
from tests.sim.solo import Puppet, Solo

ROWS = json.loads((Path(__file__).parents[1] / "vectors/serf_member_table.json").read_text())
LATER = 60 * SECOND
MEMBER_EVENTS = {
    "member_join": "member-join", "member_leave": "member-leave", "member_failed": "member-failed",
    "member_update": "member-update", "member_reap": "member-reap",
}  # fmt: skip


def started(row: dict[str, Any]) -> Solo:
    settings = serf(
        broadcast_timeout_ns=MILLISECOND, leave_propagate_delay_ns=LATER, queue_check_interval_ns=0
    )
    return Solo.start(serf=settings, gossip_interval_ns=LATER, probe_interval_ns=LATER)


def settle(solo: Solo) -> None:
    """The time that a prune of a member that is leaving waits."""
    solo.run_for(LATER + 2 * MILLISECOND)


def bring_peer(solo: Solo, row: dict[str, Any]) -> Puppet:
    peer = solo.puppet("peer")
    before = row["status_before"]
    ltime = row.get("status_ltime_before", 10)
    if before == "none":
        intent = row.get("recent_intent_before", {"type": "join", "ltime": 10})
        if intent is not None:
            make = {"join": wire_serf.join_intent, "leave": wire_serf.leave_intent}[intent["type"]]
            wire_serf.hear(solo, make(peer.name, intent["ltime"]))
        return peer
    solo.hear(peer.alive())
    if before in ("leaving", "left"):
        wire_serf.hear(solo, wire_serf.leave_intent(peer.name, ltime))
    else:
        wire_serf.hear(solo, wire_serf.join_intent(peer.name, ltime))
    if before == "left":
        solo.hear(wire.dead(peer.name, 1, peer.name))
    elif before == "failed":
        solo.hear(wire.dead(peer.name, 1, b"somebody"))
    return peer


def bring_self(solo: Solo, row: dict[str, Any]) -> None:
    ltime = row["status_ltime_before"]
    if row["serf_state"] == "alive":
        wire_serf.hear(solo, wire_serf.join_intent(b"self", ltime))
        return
    if row["serf_state"] == "left":
        solo.serf.leave(solo.now)
        solo.run_for(2 * LATER)
        wire_serf.hear(solo, wire_serf.join_intent(b"self", ltime))
        return
    solo.member("other")
    solo.serf.leave(solo.now)
    make = wire_serf.join_intent if row["status_before"] == "alive" else wire_serf.leave_intent
    wire_serf.hear(solo, make(b"self", ltime))


def act(solo: Solo, row: dict[str, Any], peer: Puppet | None) -> None:
    event = row["event"]
    name = b"self" if peer is None else peer.name
    if event == "node-join":
        assert peer is not None
        solo.hear(peer.alive(2))
        if row["status_before"] == "alive":  # memberlist tells only of those who were gone
            solo.hear(wire.dead(peer.name, 2, b"somebody"))
            solo.forget()
            solo.hear(peer.alive(3))
    elif event == "node-leave" and peer is None:
        solo.run_for(2 * MILLISECOND)  # the intent has had its time; memberlist says goodbye
    elif event == "node-leave":
        solo.hear(wire.dead(name, 1, name))
    elif event == "node-update" and peer is None:
        solo.swim.update_meta(b"changed", solo.now)
        solo.collect()
    elif event == "node-update":
        assert peer is not None
        solo.hear(peer.alive(2, meta=b"changed"))
    else:
        ltime = said_ltime(row)
        if event.startswith("join"):
            wire_serf.hear(solo, wire_serf.join_intent(name, ltime))
        else:
            prune = event.endswith("prune")
            wire_serf.hear(solo, wire_serf.leave_intent(name, ltime, prune))


def said_ltime(row: dict[str, Any]) -> int:
    """The Lamport time of the intent of a row."""
    default = {"older": 9, "equal": 10, "newer": 11}
    return int(row.get("intent_ltime", default[row["event"].split("-")[2]]))


def queued(solo: Solo) -> int:
    return solo.serf.stats()["intents_queued"]


def reachable(row: dict[str, Any]) -> bool:
    """Memberlist reports no update and no leave of a member that it holds for gone, and no join of
    one that it holds for there."""
    gone = row["status_before"] in ("left", "failed", "none")
    there = row["status_before"] == "leaving" and row["event"] == "node-join"
    return not there and not (gone and row["event"] in ("node-update", "node-leave"))


REACHABLE = [row for row in ROWS if reachable(row)]


@pytest.mark.parametrize("row", REACHABLE, ids=lambda row: f"{row['status_before']}-{row['event']}")
def test_a_row_of_the_member_table_comes_out_as_it_does_in_serf(row: dict[str, Any]) -> None:
    solo = started(row)
    subject = row.get("subject", "peer")
    peer = None
    if subject == "peer":
        peer = bring_peer(solo, row)
    else:
        bring_self(solo, row)
    name = subject.encode()
    assert wire_serf.status(solo, name) == row["status_before"]
    if "status_ltime_before" in row:
        assert wire_serf.status_ltime(solo, name) == row["status_ltime_before"]
    clock, before = solo.serf.clocks()[0], queued(solo)
    solo.forget()
    act(solo, row, peer)
    after = queued(solo)
    refutation = bool(row.get("queued_intents"))
    if row["rebroadcast"] is not None:
        assert after - before == int(row["rebroadcast"] or refutation)
    if row["event"].endswith("newer-prune"):
        settle(solo)
    told = [MEMBER_EVENTS[event[0]] for event in solo.events if event[0] in MEMBER_EVENTS]
    if row["event"].endswith("newer-prune") and row.get("serf_state") == "leaving":
        told = [kind for kind in told if kind != "member-leave"]  # the leave itself went on
    assert told == row["events"]
    assert wire_serf.status(solo, name) == row["status_after"]
    check_times(solo, row, name, clock, refutation)
    if row.get("serf_state") != "leaving" or not row["event"].endswith("newer-prune"):
        assert wire_serf.lists(solo) == row["lists_after"]


def check_times(solo: Solo, row: dict[str, Any], name: bytes, clock: int, refutation: bool) -> None:
    seen = said_ltime(row) if "intent" in row["event"] else 0
    clock = max(clock, seen + 1)
    if refutation:
        # The join intent has the clock as it is, and witnesses that.
        assert wire_serf.status_ltime(solo, name) == clock
        assert solo.serf.clocks()[0] == clock + 1
        return
    assert solo.serf.clocks()[0] == clock
    if "status_ltime_after" in row and row["status_after"] != "none":
        assert wire_serf.status_ltime(solo, name) == row["status_ltime_after"]
    if "recent_intent_after" in row:
        expected = row["recent_intent_after"]
        assert solo.serf.recent_intent(name) == (expected["type"], expected["ltime"])


def test_nearly_every_row_can_be_reached_by_messages() -> None:
    assert len(ROWS) == 140
    assert len(REACHABLE) >= 125


def test_a_gone_member_that_memberlist_reports_again_changes_nothing() -> None:
    solo = started({})
    peer = solo.member("peer")
    solo.hear(wire.dead(peer.name, 1, b"somebody"))
    solo.forget()
    solo.hear(wire.dead(peer.name, 1, peer.name), peer.alive(1, meta=b"changed"))
    assert wire_serf.status(solo, b"peer") == "failed"
    assert solo.kinds() == []
