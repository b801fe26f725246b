"""User messages by packet and by stream, and who may be told what. Protocol §4.8, §10.5."""

from __future__ import annotations

import pytest

from tests.sim import wire
from tests.sim.settings import MILLISECOND, SECOND
from tests.sim.solo import Solo


def messages(solo: Solo) -> list[tuple[object, ...]]:
    return [event[1:] for event in solo.events_of("message")]


@pytest.mark.parametrize("payload", [b"", b"x", b"hello" * 100])
def test_a_packets_user_message_is_delivered_with_its_sender(payload: bytes) -> None:
    solo = Solo.start()
    solo.hear(wire.user(payload))
    assert messages(solo) == [(payload, bytes((192, 0, 2, 1)), 4242, False)]


def test_the_messages_of_a_packet_come_in_its_order() -> None:
    solo = Solo.start()
    solo.hear(wire.user(b"one"), wire.user(b"two"), wire.compound([wire.user(b"three")]))
    assert [payload for payload, *_ in messages(solo)] == [b"one", b"two", b"three"]


def test_a_streams_user_message_is_delivered_as_reliable() -> None:
    solo = Solo.start()
    stream = solo.dial(wire.user_message(b"hello"))
    assert [(event[0], event[-1]) for event in messages(solo)] == [(b"hello", True)]
    assert stream.closed_at is not None
    assert stream.written == b""


def test_an_empty_user_message_of_a_stream_is_not_delivered() -> None:
    solo = Solo.start()
    solo.dial(wire.user_message(b""))
    assert not messages(solo)


@pytest.mark.parametrize("length", [-1, 20_971_521])
def test_a_user_message_of_an_impossible_length_closes_its_stream(length: int) -> None:
    solo = Solo.start()
    stream = solo.dial(wire.user_message(b"hello", length))
    assert stream.closed_at is not None
    assert not messages(solo)


def test_a_best_effort_message_leaves_at_once_with_a_crc_and_nothing_else() -> None:
    solo = Solo.start(enable_compression=0)
    peer = solo.member("peer")
    solo.swim.send(b"peer", b"hello", False, solo.now)
    solo.collect()
    (packet,) = solo.packets("user", to=peer)
    assert packet.data == wire.with_crc(wire.user(b"hello"))


def test_a_reliable_message_is_done_when_its_receiver_closes() -> None:
    solo = Solo.start(enable_compression=0)
    peer = solo.member("peer", dialled="accept")
    request = solo.swim.send(b"peer", b"hello", True, solo.now)
    solo.collect()
    solo.run_for(10 * MILLISECOND)
    (stream,) = solo.dialled
    assert (stream.ip, stream.port) == (peer.ip, peer.port)
    assert stream.written == wire.user_message(b"hello")
    assert not solo.events_of("done")
    solo.end(stream)
    solo.collect()
    assert stream.closed_at is not None
    assert solo.events_of("done") == [("done", request, None, 0)]


@pytest.mark.parametrize(
    ("taken", "error"),
    [
        ("all", None),
        ("made", "the peer did not read all of it"),
        ("none", "the peer did not read all of it"),
    ],
)
def test_a_receiver_that_closes_before_the_driver_took_all_is_an_error(
    taken: str, error: str | None
) -> None:
    solo = Solo.start(enable_compression=0)
    solo.member("peer")
    request = solo.swim.send(b"peer", bytes(10_000_000), True, solo.now)
    ((_, stream, *_rest),) = solo.swim.commands()
    solo.swim.stream_opened(stream, solo.now)
    while taken != "none" and (solo.swim.next_deadline() or (0, ""))[1] == "work":
        solo.swim.tick(solo.now)
    if taken == "all":
        written = [command for command in solo.swim.commands() if command[0] == "write"]
        assert sum(len(command[2]) for command in written) > 10_000_000
    solo.swim.stream_ended(stream, solo.now)
    (answer,) = [event for event in solo.swim.events() if event[0] == "done"]
    assert answer == ("done", request, error, 0)


def test_a_receiver_that_cannot_read_a_reliable_message_is_heard() -> None:
    solo = Solo.start(enable_compression=0)
    error = wire.message(wire.ERR, {"Error": b"no installed keys"})
    solo.member("peer", dialled="accept", serve=lambda written: error)
    request = solo.swim.send(b"peer", b"hello", True, solo.now)
    solo.collect()
    solo.run_for(10 * MILLISECOND)
    assert solo.events_of("done") == [("done", request, "remote error: no installed keys", 0)]


def test_a_reliable_message_that_finds_nobody_says_why() -> None:
    solo = Solo.start()
    solo.member("peer", dialled="refuse")
    request = solo.swim.send(b"peer", b"hello", True, solo.now)
    solo.collect()
    solo.run_for(10 * MILLISECOND)
    (answer,) = [event for event in solo.events if event[:2] == ("done", request)]
    assert "connection refused" in answer[2]


def test_a_reliable_message_to_a_mute_host_ends_with_the_tcp_timeout() -> None:
    solo = Solo.start(tcp_timeout_ns=3 * SECOND)
    solo.member("peer", dialled="hang")
    request = solo.swim.send(b"peer", b"hello", True, solo.now)
    solo.collect()
    solo.run_for(3 * SECOND - 1)
    assert not [event for event in solo.events if event[:2] == ("done", request)]
    solo.run_for(1)
    (answer,) = [event for event in solo.events if event[:2] == ("done", request)]
    assert answer[2]
    assert solo.dialled[0].closed_at is not None
