"""What the user may ask for and how it is refused: every request is answered exactly once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sim import wire
from tests.sim.settings import MILLISECOND, SECOND
from tests.sim.solo import Solo

KEY = bytes(32)


def answer(solo: Solo, request: int) -> tuple[str | None, int]:
    solo.collect()
    found = [event[2:] for event in solo.events if event[:2] == ("done", request)]
    assert len(found) == 1
    error, value = found[0]
    return error, value


@pytest.mark.parametrize("name", [b"nobody", b"", b"x" * 300])
def test_a_request_for_a_name_that_is_no_member_says_so(name: bytes) -> None:
    solo = Solo.start()
    requests = [
        solo.swim.ping(name, solo.now),
        solo.swim.send(name, b"hello", False, solo.now),
        solo.swim.send(name, b"hello", True, solo.now),
    ]
    assert len(set(requests)) == 3
    for request in requests:
        assert answer(solo, request)[0] == "no such member"
    assert not solo.sent
    assert not solo.dialled


def test_a_name_that_waits_for_admission_is_no_member_for_requests_either() -> None:
    solo = Solo.start(ask_accept_member=1)
    solo.hear(solo.puppet("peer").alive())
    assert answer(solo, solo.swim.ping(b"peer", solo.now))[0] == "no such member"


def test_pings_under_way_are_bounded_and_end() -> None:
    solo = Solo.start()
    solo.member("peer", answers=False)
    requests = [solo.swim.ping(b"peer", solo.now) for _ in range(1100)]
    solo.collect()
    refused = [event for event in solo.events if event[0] == "done"]
    assert len(refused) >= 1100 - 1024
    assert all("too many pings" in event[2] for event in refused)
    solo.run_for(600 * MILLISECOND)
    assert sorted(event[1] for event in solo.events if event[0] == "done") == requests


def test_streams_of_the_user_are_bounded_and_say_so() -> None:
    solo = Solo.start()
    solo.member("peer", dialled="hang")
    requests = [solo.swim.send(b"peer", b"hello", True, solo.now) for _ in range(600)]
    solo.collect()
    refused = [event for event in solo.events if event[0] == "done"]
    assert len(refused) == 600 - 512
    assert all("too many streams" in event[2] for event in refused)
    solo.run_for(11 * SECOND)
    assert sorted(event[1] for event in solo.events if event[0] == "done") == requests
    assert solo.swim.stats()["streams_open"] == 0


def test_a_best_effort_message_ends_at_the_size_of_a_datagram() -> None:
    solo = Solo.start()
    peer = solo.member("peer")
    with pytest.raises(ValueError, match="reliably"):
        solo.swim.send(b"peer", bytes(70_000), False, solo.now)
    request = solo.swim.send(b"peer", bytes(range(256)) * 200, False, solo.now)
    assert answer(solo, request) == (None, 0)
    (packet,) = solo.packets("user", to=peer)
    assert packet.messages[0].payload == bytes(range(256)) * 200


def test_an_admission_beyond_max_members_is_refused_and_counted() -> None:
    solo = Solo.start(ask_accept_member=1, max_members=3)
    for number in range(2):
        solo.hear(solo.puppet(f"peer-{number}").alive())
    assert len(solo.events_of("asked")) == 2
    late = solo.puppet("late")
    solo.hear(late.alive())
    assert solo.dropped("members_full") == 1
    for number in range(2):
        solo.swim.admit(b"peer-%d" % number, True, solo.now)
    solo.collect()
    assert solo.swim.member_count == 3


# The budgets of protocol §13, at their edges.


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({}, 1395),
        ({"label": b"prod"}, 1389),
        ({"keys": [KEY]}, 1366),
        ({"keys": [KEY], "label": b"prod"}, 1360),
        ({"keys": [KEY], "protocol_version": 1}, 1350),
    ],
    ids=str,
)
def test_the_largest_broadcast_fits_and_one_byte_more_is_refused(
    options: dict[str, Any], limit: int
) -> None:
    solo = Solo.start(enable_compression=0, **options)
    assert solo.swim.broadcast_limit == limit
    with pytest.raises(ValueError, match=str(limit)):
        solo.swim.broadcast(bytes(limit + 1))
    keys, solo.keys = solo.keys, ()
    solo.swim.set_keys([], lambda count: bytes(count))
    header = bytes((wire.LABEL, len(solo.label))) + solo.label if solo.label else b""
    solo.hear_packet(header + solo.puppet("peer").alive())
    if keys:
        solo.install(keys)
    solo.run_for(30 * SECOND)
    solo.forget()
    solo.swim.broadcast(bytes(limit))
    solo.run_for(SECOND)
    sizes = [len(packet.data) for packet in solo.packets("user")]
    assert len(sizes) == 4
    assert 1380 <= max(sizes) <= 1405


def test_more_than_255_messages_are_split_over_packets() -> None:
    solo = Solo.start(enable_compression=0)
    peer = solo.member("peer")
    solo.run_for(30 * SECOND)
    solo.forget()
    for number in range(300):
        solo.swim.broadcast(number.to_bytes(2, "big"), name=b"topic-%d" % number)
    solo.run_for(200 * MILLISECOND)
    counts = [len(packet.messages) for packet in solo.packets("user", to=peer)]
    assert counts[0] == 255
    assert sum(counts) == 279, "279 messages of 2 bytes with their overhead of 3 are 1395 bytes"


def test_on_the_way_to_encryption_packets_are_taken_and_sent_in_the_clear() -> None:
    """Protocol §9.2: first neither is verified, then what leaves, then what comes in."""
    source = (bytes((192, 0, 2, 1)), 4242)
    for outgoing, first in ((0, wire.ACK), (1, 1)):
        solo = Solo.start(keys=[KEY], gossip_verify_outgoing=outgoing, gossip_verify_incoming=0)
        solo.swim.receive([(wire.ping(5, b"self"), *source)], solo.now)
        ((data, _, _),) = solo.swim.transmits()
        assert data[0] == first


# Numbers that are none of the wire's business.


def test_accusations_with_endless_names_are_refused() -> None:
    solo = Solo.start()
    peer = solo.member("peer")
    solo.hear(wire.suspect(b"peer", 1, b"x" * 256), wire.dead(b"y" * 256, 1, b"x"), source=peer)
    assert solo.state(b"peer") == "alive"
    assert solo.dropped("name") == 2
    solo.hear(wire.suspect(b"peer", 1, b"x" * 255))
    assert solo.events_of("suspected", b"peer")[0][2] == b"x" * 255


def test_an_alive_about_us_at_the_end_of_the_numbers_is_no_reason_to_follow() -> None:
    solo = Solo.start()
    top = (1 << 32) - 1
    solo.hear(wire.alive(b"self", bytes((10, 0, 0, 1)), 7946, top))
    assert solo.incarnation() == 1
    assert solo.dropped("incarnation_jump") == 1


@pytest.mark.parametrize("keys", [[], [KEY]])
def test_an_update_that_fits_no_packet_says_so_and_one_that_fits_is_spread(
    keys: list[bytes],
) -> None:
    """Between the two there is no size that waits for ever."""
    solo = Solo.start(udp_buffer_size=508, keys=keys, gossip_verify_incoming=0)
    solo.member("peer")
    said = []
    for size in range(380, 513):
        request = solo.swim.update_meta(bytes(size), solo.now)
        solo.run_for(3 * SECOND)
        said.append(answer(solo, request)[0])
    refused = next(number for number, error in enumerate(said) if error is not None)
    assert set(said[:refused]) == {None}
    assert all("udp_buffer_size" in str(error) for error in said[refused:])


def test_what_was_queued_before_a_key_came_and_fits_no_longer_is_dropped_and_told() -> None:
    solo = Solo.start(udp_buffer_size=508, gossip_verify_incoming=0)
    solo.member("peer")
    room = solo.swim.broadcast_limit
    solo.swim.broadcast(bytes(room), b"long")
    solo.swim.broadcast(b"short", b"short")
    for size in range(512, 0, -1):
        request = solo.swim.update_meta(bytes(size), solo.now)
        solo.collect()
        if not solo.events_of("done"):
            break
        solo.forget()
    queued = solo.swim.stats()
    solo.install([KEY])
    after = solo.swim.stats()
    assert after["dropped_out_full"] - queued["dropped_out_full"] == 2
    assert after["user_broadcasts_queued"] == queued["user_broadcasts_queued"] - 1
    assert after["broadcasts_queued"] == queued["broadcasts_queued"] - 1
    solo.collect()
    assert "udp_buffer_size" in str(answer(solo, request)[0])
    solo.run_for(3 * SECOND)
    assert {message.payload for message in solo.messages("user")} == {b"short"}
    assert solo.swim.stats()["user_broadcasts_queued"] == 0


def test_what_still_fits_beside_the_key_is_kept() -> None:
    solo = Solo.start(udp_buffer_size=508, gossip_verify_incoming=0)
    solo.member("peer")
    request = solo.swim.update_meta(bytes(300), solo.now)
    solo.install([KEY])
    solo.run_for(3 * SECOND)
    assert answer(solo, request)[0] is None
    assert solo.dropped("out_full") == 0


def test_a_port_of_nought_stands_for_the_bound_port_and_not_the_advertised() -> None:
    """Protocol §4.2, §4.6: behind a NAT the two differ."""
    solo = Solo.start(port=30_000, bind_port=7946)
    solo.hear(wire.alive(b"peer", bytes((10, 0, 0, 9)), 0, 1))
    assert solo.row(b"peer")[2] == 7946
    solo.hear(wire.indirect_ping(5, bytes((10, 0, 0, 9)), 0, b"peer"))
    (ping,) = solo.packets("ping")
    assert (ping.ip, ping.port) == (bytes((10, 0, 0, 9)), 7946)
