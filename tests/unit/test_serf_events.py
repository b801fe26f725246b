"""User events: sizes, times, floods (Serf §10)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sim import serf as wire_serf
from tests.sim.settings import SECOND, serf
from tests.sim.solo import Solo


def told(solo: Solo) -> list[tuple[int, bytes, bytes | None, bool]]:
    return [event[1:] for event in solo.events_of("user_event")]


def test_an_own_event_has_the_current_time_and_moves_it() -> None:
    solo = Solo.start(serf=serf())
    solo.members(1)
    assert solo.serf.event(b"deploy", b"x", True, solo.now) == 1
    assert solo.serf.event(b"deploy", None, False, solo.now) == 2
    solo.collect()
    assert told(solo) == [(1, b"deploy", b"x", True), (2, b"deploy", None, False)]
    assert solo.serf.clocks() == (1, 3, 1)
    solo.run_for(SECOND)
    sent = [body for kind, body in wire_serf.gossiped(solo) if kind == "userEvent"]
    assert {"CC": True, "LTime": 1, "Name": b"deploy", "Payload": b"x"} in sent
    assert {"CC": False, "LTime": 2, "Name": b"deploy", "Payload": None} in sent


def test_an_event_is_passed_on_as_it_came_even_in_a_form_that_nobody_writes() -> None:
    solo = Solo.start(serf=serf())
    solo.members(1)
    odd = b"\x03\x83\xa4Name\xda\x00\x01e\xa5LTime\xcf\x00\x00\x00\x00\x00\x00\x00\x05\xa1?\xc2"
    wire_serf.hear(solo, odd)
    assert told(solo) == [(5, b"e", None, False)]
    solo.run_for(SECOND)
    payloads = {
        message.payload
        for packet in solo.packets("user")
        for message in packet.messages
        if message.kind == "user"
    }
    assert payloads == {odd}


@pytest.mark.parametrize(
    ("limit", "payload", "text"),
    [
        (512, 512, "user event exceeds configured limit of 512 bytes before encoding"),
        (512, 500, "encoded user event exceeds configured limit of 512 bytes after encoding"),
        (9216, 9216, "user event exceeds configured limit of 9216 bytes before encoding"),
        (9216, 9200, "encoded user event exceeds configured limit of 9216 bytes after encoding"),
        (9216, 2000, "at most 13.. fit beside a packet's headers"),
        (9216, 100_000, "user event exceeds configured limit of 9216 bytes before encoding"),
    ],
)
def test_an_event_that_is_too_long_raises_and_sends_nothing(
    limit: int, payload: int, text: str
) -> None:
    solo = Solo.start(serf=serf(user_event_size_limit=limit))
    with pytest.raises(ValueError, match=text):
        solo.serf.event(b"e", b"x" * payload, False, solo.now)
    assert solo.serf.clocks()[1] == 1
    assert not solo.swim.events()[2:]


def test_an_event_of_another_over_the_sane_size_is_dropped_and_counted() -> None:
    solo = Solo.start(serf=serf())
    wire_serf.hear(solo, wire_serf.user_event(b"e", 3, b"x" * 9216))
    assert not told(solo)
    assert solo.dropped("event_too_large") == 1
    assert solo.serf.clocks()[1] == 4, "its time was witnessed all the same"


def test_an_event_that_no_gossip_packet_can_carry_is_told_but_not_queued_for_ever() -> None:
    solo = Solo.start(serf=serf())
    wire_serf.hear(solo, wire_serf.user_event(b"e", 3, b"x" * 2000))
    assert len(told(solo)) == 1
    assert solo.serf.stats()["events_queued"] == 0
    assert solo.dropped("out_full") == 1


def test_ten_thousand_names_at_one_time_are_bounded_and_the_next_time_is_not_harmed() -> None:
    solo = Solo.start(serf=serf())
    for start in range(0, 10_000, 100):
        names = range(start, start + 100)
        wire_serf.hear(solo, *(wire_serf.user_event(b"name-%d" % name, 5) for name in names))
    assert len(told(solo)) == 1024
    assert solo.dropped("moment_full") == 10_000 - 1024
    wire_serf.hear(solo, wire_serf.user_event(b"next", 6))
    assert told(solo)[-1][1] == b"next"


def test_ten_thousand_names_at_as_many_times_leave_no_trace_beyond_the_ring() -> None:
    solo = Solo.start(serf=serf(event_buffer=64))
    for start in range(0, 10_000, 100):
        names = range(start, start + 100)
        wire_serf.hear(
            solo, *(wire_serf.user_event(b"name-%d" % name, name, b"x" * 50) for name in names)
        )
    stats = solo.serf.stats()
    assert stats["user_events"] == 10_000
    assert 0 < stats["event_bytes_kept"] < 64 * 100


def test_events_to_be_handed_on_are_bounded_in_bytes_and_told_all_the_same() -> None:
    solo = Solo.start(serf=serf())
    payload = b"x" * 9000
    for number in range(600):
        wire_serf.hear(solo, wire_serf.user_event(b"%d" % number, 5 + number // 2, payload))
    assert len(told(solo)) == 600
    stats = solo.serf.stats()
    assert stats["event_bytes_kept"] <= 4_194_304
    assert stats["user_events_not_kept"] == 600 - stats["event_bytes_kept"] // 9020


def test_events_from_before_a_snapshot_are_not_told_again() -> None:
    solo = Solo.start(serf=serf(), restored=(40, 20, 30))
    assert solo.serf.clocks() == (41, 21, 31)
    wire_serf.hear(solo, wire_serf.user_event(b"old", 20), wire_serf.query(b"old", 30, 1))
    wire_serf.hear(solo, wire_serf.user_event(b"new", 21), wire_serf.query(b"new", 31, 1))
    assert [event[1] for event in told(solo)] == [b"new"]
    assert [event[4] for event in solo.events_of("query")] == [b"new"]


def test_an_empty_snapshot_leaves_only_the_events_of_no_time_out() -> None:
    solo = Solo.start(serf=serf(), restored=(0, 0, 0))
    wire_serf.hear(solo, wire_serf.user_event(b"zero", 0), wire_serf.user_event(b"one", 1))
    assert [event[1] for event in told(solo)] == [b"one"]


def test_intents_about_nobody_and_events_without_a_name_are_handled_like_any() -> None:
    solo = Solo.start(serf=serf())
    for intent in (b"\x01\x80", b"\x00\x80", b"\x01\x81\xa5LTime\x05"):
        wire_serf.hear(solo, intent, intent)
    assert solo.serf.recent_intent(b"") == ("join", 5)
    wire_serf.hear(solo, b"\x03\x80", b"\x03\x80")
    assert told(solo) == [(0, b"", None, False)]


@given(payloads=st.lists(st.binary(max_size=200), max_size=8))
def test_no_bytes_in_a_user_message_do_harm(payloads: list[bytes]) -> None:
    solo = Solo.start(serf=serf())
    solo.members(2)
    wire_serf.hear(solo, *payloads)
    solo.run_for(SECOND)
    assert solo.serf.member(b"self") is not None


MESSAGES = [
    wire_serf.join_intent(b"peer-0", 9),
    wire_serf.leave_intent(b"peer-1", 9, prune=True),
    wire_serf.user_event(b"deploy", 9, b"payload"),
    wire_serf.query(b"q", 9, 1, Flags=1, RelayFactor=2, Filters=[b"\x00\x91\xa4self"]),
    wire_serf.query(b"q", 9, 2, Filters=[b"\x01\x82\xa4Expr\xa1x\xa3Tag\xa1y"]),
    wire_serf.response(1, 2, b"peer-0", b"x"),
    wire_serf.relay(bytes((10, 0, 1, 1)), 7946, b"peer-0", b"\x05inner"),
]


@given(
    message=st.sampled_from(MESSAGES),
    cut=st.integers(0, 150),
    at=st.integers(0, 150),
    byte=st.integers(0, 255),
)
def test_no_message_with_a_byte_changed_or_cut_short_does_harm(
    message: bytes, cut: int, at: int, byte: int
) -> None:
    solo = Solo.start(serf=serf())
    solo.members(3)
    changed = bytearray(message)
    changed[at % len(message)] = byte
    wire_serf.hear(solo, message[: cut % (len(message) + 1)], bytes(changed))
    for event in solo.events_of("filter"):
        solo.serf.accept_query(event[1], True, solo.now)
    solo.run_for(SECOND)
    assert solo.serf.member(b"self") is not None
