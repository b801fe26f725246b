"""Queries of others: filtered, acked, answered, and replies carried (Serf §11.2 to §11.5)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sim import serf as wire_serf
from tests.sim import wire
from tests.sim.settings import MILLISECOND, SECOND, serf
from tests.sim.solo import Puppet, Solo

ACK, NO_BROADCAST = 1, 2


def started(**changes: Any) -> tuple[Solo, Puppet]:
    """A core with one member, which the queries of `wire_serf.query` come from."""
    solo = Solo.start(serf=serf(**changes), probe_interval_ns=1000 * SECOND)
    return solo, solo.member("peer")


def node_filter(*names: bytes) -> bytes:
    return bytes((0,)) + wire.pack(list(names))


def tag_filter(tag: bytes, expr: bytes) -> bytes:
    return bytes((1,)) + wire.pack({"Expr": expr, "Tag": tag})


def directed(solo: Solo, to: Puppet | None = None) -> list[tuple[str, dict[str, Any]]]:
    """Serf messages that were sent at once, not by the gossip round."""
    return [
        wire_serf.read(message.payload)
        for packet in solo.packets("user", to=to)
        for message in packet.messages
        if message.payload[0] in (wire_serf.RESPONSE, wire_serf.RELAY)
    ]


def direct(solo: Solo, to: Puppet) -> int:
    """How many replies went straight to somebody; a relay may come by there as well."""
    return [kind for kind, _ in directed(solo, to)].count("queryResponse")


def handle_of(solo: Solo, kind: str = "query") -> int:
    (event,) = solo.events_of(kind)
    handle = event[1]
    assert isinstance(handle, int)
    return handle


def test_a_query_is_told_acked_and_passed_on_as_it_came() -> None:
    solo, peer = started()
    message = wire_serf.query(b"uptime", 7, 99, Flags=ACK, Payload=b"p")
    solo.forget()
    wire_serf.hear(solo, message, message)
    deadline = solo.now + 5 * SECOND
    handle = handle_of(solo)
    expected = (
        "query", handle, 7, 99, b"uptime", b"p", b"peer", peer.ip, 7946, ACK, deadline,
    )  # fmt: skip
    assert solo.events_of("query") == [expected]
    assert directed(solo, peer) == [
        ("queryResponse", {"Flags": 1, "From": b"self", "ID": 99, "LTime": 7, "Payload": None}),
    ]
    assert solo.serf.clocks()[2] == 8
    solo.run_for(SECOND)
    passed_on = [
        sent.payload
        for packet in solo.sent
        for sent in packet.messages
        if sent.kind == "user" and sent.payload[0] == wire_serf.QUERY
    ]
    assert set(passed_on) == {message}


def test_a_reply_stands_alone_in_its_packet_and_without_a_checksum() -> None:
    solo, peer = started()
    wire_serf.hear(solo, wire_serf.user_event(b"waiting", 1))
    solo.forget()
    wire_serf.hear(solo, wire_serf.query(b"q", 7, 99, Flags=ACK))
    (packet,) = solo.packets("user", to=peer)
    assert len(packet.messages) == 1
    assert packet.data[0] == wire.USER


def test_a_response_goes_out_once_before_the_deadline_and_within_its_size() -> None:
    solo, peer = started(query_response_size_limit=200)
    wire_serf.hear(solo, wire_serf.query(b"q", 7, 99))
    handle = handle_of(solo)
    with pytest.raises(ValueError, match="response exceeds limit of 200 bytes"):
        solo.serf.respond(handle, b"x" * 200, solo.now)
    solo.serf.respond(handle, b"short", solo.now)
    solo.collect()
    with pytest.raises(RuntimeError, match="response already sent"):
        solo.serf.respond(handle, b"again", solo.now)
    with pytest.raises(ValueError, match="response exceeds limit"):  # the size is looked at first
        solo.serf.respond(handle, b"x" * 200, solo.now)
    assert directed(solo, peer) == [
        ("queryResponse", {"Flags": 0, "From": b"self", "ID": 99, "LTime": 7, "Payload": b"short"}),
    ]
    wire_serf.hear(solo, wire_serf.query(b"q", 8, 100))
    late = solo.events_of("query")[1][1]
    with pytest.raises(RuntimeError, match="response is past the deadline"):
        solo.serf.respond(late, b"", solo.now + 5 * SECOND)
    with pytest.raises(RuntimeError, match="response is past the deadline"):
        solo.serf.respond(late + 1000, b"", solo.now)


def test_an_empty_and_a_nil_payload_of_a_response_are_kept_apart() -> None:
    solo, peer = started()
    for ltime, payload in ((7, b""), (8, None)):
        wire_serf.hear(solo, wire_serf.query(b"q", ltime, ltime))
        solo.serf.respond(solo.events_of("query")[-1][1], payload, solo.now)
    solo.collect()
    assert [body["Payload"] for _, body in directed(solo, peer)] == [b"", None]


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        (None, "query"),
        ([], "query"),
        ([node_filter(b"other", b"self")], "query"),
        ([node_filter(b"other")], ""),
        ([node_filter()], ""),
        ([b""], ""),
        ([b"\x02\x90"], ""),
        ([b"\x00\xa1x"], ""),
        ([b"\x00\x92\xa4self"], ""),
        ([b"\x01\x90\xc1"], "filter"),
        ([b"\x01\x82\xa3Tag"], ""),
        ([b"\x01\xa1x"], ""),
        ([tag_filter(b"role", b"web")], "filter"),
        ([node_filter(b"self"), tag_filter(b"role", b"web")], "filter"),
        ([tag_filter(b"role", b"web"), node_filter(b"other")], ""),
        ([tag_filter(b"role", b"web"), b""], ""),
    ],
)
def test_filters_decide_for_whom_a_query_is_and_all_must_match(
    filters: list[bytes] | None, told: str
) -> None:
    solo, peer = started()
    solo.forget()
    wire_serf.hear(solo, wire_serf.query(b"q", 7, 99, Flags=ACK, Filters=filters))
    assert solo.kinds() == ([told] if told else [])
    assert bool(directed(solo, peer)) == (told == "query")
    assert solo.serf.stats()["queries_queued"] == 1, "whom it is for or not, it is passed on"
    assert solo.serf.stats()["queries_filtered"] == (told == "")


@pytest.mark.parametrize("matches", [True, False])
def test_tag_filters_are_judged_outside_and_the_ack_waits_for_that(matches: bool) -> None:
    solo, peer = started()
    filters = [node_filter(b"self"), tag_filter(b"role", b"^web"), tag_filter(b"dc", b"")]
    wire_serf.hear(solo, wire_serf.query(b"q", 7, 99, Flags=ACK, Filters=filters))
    deadline = solo.now + 5 * SECOND
    handle = handle_of(solo, "filter")
    listed = [(b"role", b"^web"), (b"dc", b"")]
    assert solo.events_of("filter") == [("filter", handle, listed, deadline)]
    assert not directed(solo, peer)
    for _ in range(2):  # the second verdict comes too late to count
        solo.serf.accept_query(handle, matches, solo.now)
    solo.collect()
    assert len(directed(solo, peer)) == int(matches)
    assert [event[1] for event in solo.events_of("query")] == ([handle] if matches else [])


def test_a_query_that_is_not_to_be_broadcast_is_answered_but_not_passed_on() -> None:
    solo, peer = started()
    wire_serf.hear(solo, wire_serf.query(b"q", 7, 99, Flags=ACK | NO_BROADCAST))
    assert len(directed(solo, peer)) == 1
    assert solo.serf.stats()["queries_queued"] == 0


def test_a_ping_is_acked_without_python_and_other_internal_queries_are_told() -> None:
    solo, peer = started()
    wire_serf.hear(solo, wire_serf.query(b"_serf_ping", 7, 99, Flags=ACK, Timeout=0))
    assert len(directed(solo, peer)) == 1
    assert not solo.events_of("query")
    wire_serf.hear(solo, wire_serf.query(b"_serf_conflict", 8, 99, Payload=b"self"))
    assert [event[4] for event in solo.events_of("query")] == [b"_serf_conflict"]


def test_replies_go_to_addresses_of_members_only() -> None:
    solo, _ = started()
    solo.forget()
    stranger = bytes((203, 0, 113, 9))
    changes: list[dict[str, Any]] = [
        {"Addr": stranger}, {"Port": 53}, {"Addr": b""}, {"Addr": None}, {"Addr": b"123"},
    ]  # fmt: skip
    for number, change in enumerate(changes):
        message = wire_serf.query(b"q", 7 + number, 99, Flags=ACK, RelayFactor=3, **change)
        wire_serf.hear(solo, message)
        solo.serf.respond(solo.events_of("query")[-1][1], b"much", solo.now)
    solo.collect()
    assert not directed(solo)
    assert solo.dropped("reply_foreign") == 10
    mapped = bytes(10) + b"\xff\xff" + bytes((10, 0, 1, 1))
    wire_serf.hear(solo, wire_serf.query(b"q", 20, 99, Flags=ACK, Addr=mapped))
    assert len(directed(solo)) == 1, "the same address in its other form is a member's too"


def test_replies_are_so_many_a_second() -> None:
    solo, peer = started()
    for number in range(1500):
        wire_serf.hear(solo, wire_serf.query(b"q", 10 + number, 1, Flags=ACK | NO_BROADCAST))
    sent = len(directed(solo, peer))
    assert sent == 1000
    assert solo.dropped("reply_rate") == 500
    solo.run_for(SECOND // 2)
    solo.forget()
    for number in range(600):
        wire_serf.hear(solo, wire_serf.query(b"q", 2000 + number, 1, Flags=ACK | NO_BROADCAST))
    assert len(directed(solo, peer)) == 500


# Relays.


def test_a_relay_factor_sends_the_reply_through_as_many_different_members() -> None:
    solo, peer = started()
    others = [solo.member(f"other-{number}") for number in range(6)]
    solo.member("old", vsn=bytes((1, 4, 2, 2, 5, 4)))
    solo.forget()
    wire_serf.hear(solo, wire_serf.query(b"q", 7, 99, Flags=ACK, RelayFactor=3))
    relayers = [
        puppet.name
        for puppet in [peer, *others]
        for kind, _ in directed(solo, puppet)
        if kind == "relay"
    ]
    assert len(relayers) == len(set(relayers)) == 3
    (relayed,) = {
        message.payload
        for packet in solo.packets("user")
        for message in packet.messages
        if message.payload[0] == wire_serf.RELAY
    }
    inner = wire_serf.response(7, 99, b"self", None, flags=1)
    header = {b"IP": peer.ip, b"Port": 7946, b"Zone": b""}
    assert wire_serf.read(relayed) == ("relay", {"DestAddr": header, "DestName": b"peer"})
    assert relayed.endswith(inner)
    assert b"\xa4Port\xd1\x1f\x0a" in relayed, "a port in the signed form (Serf §4)"
    assert solo.serf.stats()["relays_sent"] == 3


def test_no_more_relays_than_members_and_none_over_the_response_size() -> None:
    solo, peer = started(query_response_size_limit=150)
    solo.members(8)
    for ltime, factor in ((7, 255), (8, 10)):
        wire_serf.hear(solo, wire_serf.query(b"q", ltime, 99, Flags=ACK, RelayFactor=factor))
    assert {kind for kind, _ in directed(solo)} == {"queryResponse"}
    wire_serf.hear(solo, wire_serf.query(b"q", 9, 99, RelayFactor=3))
    handle = solo.events_of("query")[-1][1]
    solo.forget()
    with pytest.raises(ValueError, match="relayed response exceeds limit of 150 bytes"):
        solo.serf.respond(handle, b"x" * 80, solo.now)
    solo.collect()
    assert direct(solo, peer) == 1, "the direct one has gone out"
    solo.serf.respond(handle, b"x", solo.now)  # so it does not count as sent
    solo.collect()
    assert direct(solo, peer) == 2


def test_a_relay_factor_of_255_in_a_large_pool_is_bounded_by_the_rate() -> None:
    solo, _ = started()
    for number in range(300):
        address = bytes((10, 0, 2 + number // 200, number % 200))
        solo.hear(wire.alive(b"m-%d" % number, address, 7946, 1, vsn=wire.SERF_VSN))
    assert len(solo.serf.members()) == 302
    solo.forget()
    for ltime in range(4):
        wire_serf.hear(solo, wire_serf.query(b"q", 7 + ltime, 99, Flags=ACK, RelayFactor=255))
    relays = [kind for kind, _ in directed(solo) if kind == "relay"]
    assert len(relays) == 500
    assert solo.dropped("relay_rate") == 4 * 255 - 500


def test_a_relay_is_carried_on_as_it_stands_to_members_only() -> None:
    solo, peer = started()
    inner = b"\x05anything at all"
    wire_serf.hear(solo, wire_serf.relay(peer.ip, 7946, b"peer", inner))
    (packet,) = solo.packets("user", to=peer)
    assert [message.payload for message in packet.messages] == [inner]
    assert solo.serf.stats()["relayed"] == 1
    solo.forget()
    stranger = bytes((203, 0, 113, 9))
    for ip, port in ((stranger, 7946), (peer.ip, 53), (peer.ip, 0), (peer.ip, -1), (b"12", 7946)):
        wire_serf.hear(solo, wire_serf.relay(ip, port, b"peer", inner))
    wire_serf.hear(solo, wire_serf.relay(peer.ip, 7946, b"peer", b"x" * 9217))
    assert not solo.packets("user")
    assert solo.dropped("relay_foreign") == 5
    assert solo.dropped("query_too_large") == 1


def test_relays_carried_are_so_many_a_second() -> None:
    solo, peer = started()
    for _ in range(700):
        wire_serf.hear(solo, wire_serf.relay(peer.ip, 7946, b"peer", b"\x05x"))
    assert len(solo.packets("user", to=peer)) == 500
    assert solo.dropped("relay_rate") == 200


# Bad input.


def test_ten_thousand_queries_of_one_time_are_bounded() -> None:
    solo, _ = started()
    for start in range(0, 10_000, 100):
        wire_serf.hear(solo, *(wire_serf.query(b"q", 7, start + number) for number in range(100)))
    assert len(solo.events_of("query")) == 1024
    assert solo.dropped("moment_full") == 10_000 - 1024


def test_only_so_many_queries_wait_for_an_answer_and_the_oldest_cannot_be_answered() -> None:
    solo, peer = started()
    for number in range(1100):
        wire_serf.hear(solo, wire_serf.query(b"q", 10 + number, 1, Flags=NO_BROADCAST))
    handles = [event[1] for event in solo.events_of("query")]
    with pytest.raises(RuntimeError, match="past the deadline"):
        solo.serf.respond(handles[0], b"", solo.now)
    solo.serf.respond(handles[-1], b"", solo.now)
    solo.collect()
    assert len(directed(solo, peer)) == 1


def test_a_query_over_the_size_limit_is_dropped_and_counted() -> None:
    solo, _ = started()
    wire_serf.hear(solo, wire_serf.query(b"q", 7, 1, Payload=b"x" * 9200))
    assert not solo.events_of("query")
    assert solo.dropped("query_too_large") == 1
    assert solo.serf.clocks()[2] == 8, "its time was witnessed all the same"


@pytest.mark.parametrize("timeout", [-1, -(2**63), 0, 2**63 - 1])
def test_any_timeout_of_a_query_gives_a_deadline(timeout: int) -> None:
    solo, peer = started()
    wire_serf.hear(solo, wire_serf.query(b"q", 7, 1, Flags=ACK, Timeout=timeout))
    deadline = solo.events_of("query")[0][-1]
    assert solo.now <= deadline < 2**63
    assert len(directed(solo, peer)) == 1, "an ack goes out whatever the timeout"


def test_a_time_near_the_end_of_all_times_is_refused_and_counted() -> None:
    solo, _ = started()
    solo.forget()
    wire_serf.hear(
        solo,
        wire_serf.query(b"q", 2**64 - 1, 1),
        wire_serf.user_event(b"e", 2**64 - 2),
        wire_serf.join_intent(b"peer", 1 << 62),
        wire_serf.leave_intent(b"peer", 2**64 - 1),
    )
    assert solo.kinds() == []
    assert solo.serf.clocks() == (1, 1, 1)
    assert solo.dropped("lamport_jump") == 4


def test_numbers_of_serf_that_are_no_messages_are_dropped_and_others_are_the_applications() -> None:
    solo, _ = started()
    solo.forget()
    wire_serf.hear(solo, b"\x02", b"\x06", b"\x07x", b"\x08", b"")
    assert solo.kinds() == []
    assert solo.dropped("serf_type") == 4
    wire_serf.hear(solo, b"\x0ahello", b"\xff")
    assert [event[1] for event in solo.events_of("message")] == [b"\x0ahello", b"\xff"]


def test_what_cannot_be_decoded_is_dropped_and_counted() -> None:
    solo, _ = started()
    solo.forget()
    for kind in (0, 1, 3, 4, 5, 9):
        wire_serf.hear(solo, bytes((kind,)), bytes((kind,)) + b"\xc1", bytes((kind, 0xA1, 0x61)))
    assert solo.kinds() == []
    assert solo.dropped("decode") == 18


def test_the_default_timeout_follows_the_formula() -> None:
    solo, _ = started()
    assert solo.serf.query_timeout_ns() == 3200 * MILLISECOND
    solo.members(7)
    assert solo.serf.alive_count == 9
    assert solo.serf.query_timeout_ns() == 3200 * MILLISECOND
    solo.member("tenth")
    assert solo.serf.query_timeout_ns() == 6400 * MILLISECOND
