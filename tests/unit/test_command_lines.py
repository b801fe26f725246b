"""How events look on a terminal and as JSON."""

from __future__ import annotations

import json
from typing import get_args

import pytest

import gossip
from gossip.agent.lines import event_to_json, event_to_line, text_of
from gossip.members import decode_name

WEB = gossip.Member("web-1", gossip.Address("10.0.0.7", 7946), b"role=web", incarnation=3, since=9)
BARE = gossip.Member("web-2", gossip.Address("2001:db8::7", 7946), status=gossip.Status.FAILED)
TAGGED = gossip.Member(
    "db-1", gossip.Address("10.0.0.9", 7946), b"\xff\x80", tags={"role": "db", "dc": "ams"}
)

LINES: list[tuple[gossip.Event, str]] = [
    (gossip.MembersSnapshot((WEB, BARE)), "members    2: web-1 (alive), web-2 (failed)"),
    (gossip.EventsLost(7), "lost       7 events; what follows is the present state"),
    (gossip.MemberJoined(WEB), "joined     web-1 at 10.0.0.7:7946, meta 'role=web'"),
    (gossip.MemberUpdated(BARE), "updated    web-2 at [2001:db8::7]:7946"),
    (gossip.MemberSuspected(WEB, "web-2"), "suspected  web-1, by web-2"),
    (gossip.SuspicionConfirmed(WEB, "n3"), "confirmed  web-1's suspicion, by n3"),
    (gossip.MemberRefuted(WEB), "refuted    web-1 is alive (incarnation 3)"),
    (
        gossip.MemberFailed(WEB, "web-2", 2, 4.25),
        "failed     web-1, by web-2 (4.2 s suspect, 2 confirmations)",
    ),
    (gossip.MemberLeft(WEB), "left       web-1"),
    (gossip.MemberReaped(WEB), "reaped     web-1"),
    (gossip.MemberJoined(TAGGED), "joined     db-1 at 10.0.0.9:7946, dc=ams role=db"),
    (gossip.UserEvent("deploy", b"42", 7, True), "event      deploy '42' (time 7)"),
    (
        gossip.QueryReceived("uptime", b"", 9, "web-2", 12.5, lambda _: None),
        "query      uptime '' from web-2 (time 9)",
    ),
    (
        gossip.NameConflict(WEB, gossip.Address("10.0.0.8", 7946), b""),
        "conflict   10.0.0.8:7946 uses the name of web-1 at 10.0.0.7:7946",
    ),
    (
        gossip.MessageReceived(b"hello", gossip.Address("10.0.0.8", 7946), False),
        "message    'hello' (packet from 10.0.0.8:7946)",
    ),
    (gossip.MessageReceived(b"\x00\xff", None, True), "message    '00 ff' (stream from unknown)"),
    (gossip.StateReceived(b"1234", True), "state      4 bytes with a join"),
    (gossip.LoopLagged(1.234), "lagged     the event loop was 1.23 s late"),
    (
        gossip.PartitionHealed(("web-1", "web-2"), ("web-1",)),
        "healed     web-1; still lost: web-2",
    ),
    (gossip.PingCompleted(WEB, 0.0123, b""), "pinged     web-1 in 12.3 ms"),
]


@pytest.mark.parametrize(("event", "line"), LINES)
def test_an_event_is_one_line_with_its_verb_first(event: gossip.Event, line: str) -> None:
    assert event_to_line(event) == line


def test_every_kind_of_event_is_shown() -> None:
    assert {type(event) for event, _ in LINES} == set(get_args(gossip.Event))


@pytest.mark.parametrize("event", [event for event, _ in LINES])
def test_an_event_is_a_json_object_that_names_its_kind(event: gossip.Event) -> None:
    again = json.loads(json.dumps(event_to_json(event)))
    assert again["event"].replace("_", "") == type(event).__name__.lower()


def test_a_member_in_json_has_text_for_addresses_and_hex_for_bytes() -> None:
    assert event_to_json(gossip.MemberJoined(WEB)) == {
        "event": "member_joined",
        "member": {
            "name": "web-1",
            "address": "10.0.0.7:7946",
            "meta": {"$hex": b"role=web".hex()},
            "status": "alive",
            "incarnation": 3,
            "versions": [0, 0, 0, 0, 0, 0],
            "tags": {},
        },
    }


def test_names_that_are_not_utf_8_and_control_characters_break_no_line() -> None:
    assert text_of(b"a\nb\x1b[2J") == "'61 0a 62 1b 5b 32 4a'"
    assert text_of(b"x" * 61) == repr("x" * 60) + " and 1 bytes more"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"\xff\xfe", r"\udcff\udcfe"),
        ("\x9b2J".encode(), r"\x9b2J"),
        ("a\u2028b".encode(), r"a\u2028b"),
        ("zwölf".encode(), "zwölf"),
    ],
)
def test_a_name_of_any_bytes_can_be_printed(name: bytes, shown: str) -> None:
    """Else a peer could end the agent, or write to its terminal, by its choice of a name."""
    member = gossip.Member(decode_name(name), WEB.address)
    for event in (gossip.MemberLeft(member), gossip.MemberSuspected(WEB, member.name)):
        line = event_to_line(event)
        assert shown in line
        line.encode()
