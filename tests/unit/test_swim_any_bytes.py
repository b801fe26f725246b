"""Whatever comes in, nothing is raised, nothing hangs, and nobody becomes a member by noise."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sim import wire
from tests.sim.settings import SECOND
from tests.sim.solo import Puppet, Solo
from tests.unit.vectors import load

PACKETS = [
    bytes.fromhex(entry["hex"])
    for name in ("memberlist_messages", "memberlist_compound", "memberlist_envelopes",
                 "memberlist_malformed")
    for entry in load(name)
]  # fmt: skip
STREAMS = [
    bytes.fromhex(entry["hex"])
    for name in ("stream_pushpull", "stream_tcpping", "stream_user", "stream_errors")
    for entry in load(name)
]
SOURCE = (bytes((192, 0, 2, 1)), 4242)
KEY = bytes(16)


def healthy(solo: Solo) -> None:
    """The node is what it was: itself alive, its numbers in order, still answering."""
    assert solo.state(b"self") == "alive"
    rows = solo.swim.members()
    assert len(rows) == solo.swim.member_count == len({row[0] for row in rows})
    assert 0 <= solo.swim.health_score <= 7
    assert all(count >= 0 for count in solo.swim.stats().values())
    solo.swim.transmits()
    solo.hear(wire.ping(4711, b"self"))
    assert 4711 in [ack["SeqNo"] for ack in solo.messages("ackResp")]


def table(solo: Solo) -> list[tuple[object, ...]]:
    return sorted(row[:7] for row in solo.swim.members())


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_any_datagrams_leave_the_node_as_it_was(packets: list[bytes]) -> None:
    """Random bytes hold no valid claim, so the table must not move at all."""
    solo = Solo.start()
    solo.member("peer")
    before = table(solo)
    solo.swim.receive([(packet, *SOURCE) for packet in packets], solo.now)
    solo.swim.transmits()
    assert table(solo) == before
    healthy(solo)


@given(st.lists(st.binary(max_size=200), max_size=10), st.booleans())
def test_any_stream_bytes_fail_their_stream_alone(pieces: list[bytes], keyed: bool) -> None:
    solo = Solo.start(keys=[KEY] if keyed else ())
    stream = solo.dial(b"")
    for piece in pieces:
        solo.feed(stream, piece)
    solo.run_for(11 * SECOND)
    assert stream.closed_at is not None
    assert solo.swim.member_count == 1
    assert solo.swim.stats()["streams_open"] == 0


def mutate(rng: random.Random, packet: bytes) -> bytes:
    """Flip, cut, double or splice bytes."""
    data = bytearray(packet)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data)) if data else 0
        match rng.randrange(5):
            case 0 if data:
                data[at] = rng.randrange(256)
            case 1:
                del data[at:]
            case 2:
                data[at:at] = rng.randbytes(rng.randint(1, 5))
            case 3:
                data[at:at] = data[at : at + rng.randint(1, 20)]
            case _:
                other = rng.choice(PACKETS)
                data[at:] = other[min(at, len(other)) :]
    return bytes(data)


def test_mutated_vectors_never_harm_the_node() -> None:
    rng = random.Random(20)
    solo = Solo.start(max_members=50)
    for _ in range(200):
        batch = [(mutate(rng, rng.choice(PACKETS)), *SOURCE) for _ in range(50)]
        solo.swim.receive(batch, solo.now)
        solo.swim.transmits()
        solo.swim.events()
        solo.swim.commands()
        assert solo.swim.member_count <= 50
    healthy(solo)


def test_mutated_streams_never_harm_the_node() -> None:
    rng = random.Random(21)
    solo = Solo.start(max_members=200)
    for _ in range(2000):
        number = solo.swim.accept_stream(*SOURCE, solo.now)
        data = mutate(rng, rng.choice(STREAMS))
        cut = rng.randint(0, len(data))
        for piece in (data[:cut], data[cut:]):
            solo.swim.stream_received(number, piece, solo.now)
        solo.swim.stream_ended(number, solo.now)
        solo.swim.transmits()
        solo.swim.events()
        solo.swim.commands()
    assert solo.swim.stats()["streams_open"] == 0
    healthy(solo)


def test_mutated_replies_never_harm_the_dialler() -> None:
    rng = random.Random(22)
    replies = [bytes.fromhex(entry["reply_hex"]) for entry in load("stream_pushpull")]
    solo = Solo.start(max_members=200)
    for _ in range(1000):
        solo.swim.join(bytes((10, 0, 0, 9)), 7946, b"", solo.now)
        ((_, number, *_rest),) = solo.swim.commands()
        solo.swim.stream_opened(number, solo.now)
        solo.swim.stream_received(number, mutate(rng, rng.choice(replies)), solo.now)
        solo.swim.stream_ended(number, solo.now)
        while (solo.swim.next_deadline() or (0, ""))[1] == "work":
            solo.swim.tick(solo.now)
        solo.swim.commands()
        answers = [event for event in solo.swim.events() if event[0] == "done"]
        assert len(answers) == 1
    healthy(solo)


@settings(max_examples=50)
@given(st.data())
def test_reports_about_streams_that_are_none_are_nothing(data: st.DataObject) -> None:
    solo = Solo.start()
    number = data.draw(st.integers(0, (1 << 32) - 1))
    solo.swim.stream_opened(number, solo.now)
    solo.swim.stream_received(number, b"bytes", solo.now)
    solo.swim.stream_ended(number, solo.now)
    solo.swim.stream_failed(number, "text", solo.now)
    solo.swim.send_failed(bytes(4), 0, 5, solo.now)
    healthy(solo)


def test_reports_that_come_after_the_end_are_nothing() -> None:
    solo = Solo.start()
    solo.puppet("seed", dialled="hang")
    stream = solo.dial(wire.user_message(b"hello"))
    assert stream.closed_at is not None
    solo.swim.stream_received(stream.id, b"more", solo.now)
    solo.swim.stream_ended(stream.id, solo.now)
    solo.swim.stream_failed(stream.id, "late", solo.now)
    assert solo.swim.commands() == []
    healthy(solo)


def test_a_connection_that_stands_only_after_its_probe_has_ended_is_dropped() -> None:
    """The late ack ended the probe; the TCP ping it had begun has nobody to ask for."""
    solo = Solo.start()
    target = solo.member("target", answers=False, dialled="hang")
    solo.run_for(SECOND + SECOND // 2)
    (stream,) = solo.dialled
    (ping,) = solo.messages("ping", to=target)
    solo.hear(wire.ack(ping["SeqNo"]), source=target)
    solo.open(stream)
    solo.collect()
    healthy(solo)


@given(st.integers(-5 * SECOND, 50 * SECOND), st.integers(-5 * SECOND, 50 * SECOND))
def test_ticks_may_come_early_late_or_with_a_clock_that_went_back(one: int, other: int) -> None:
    solo = Solo.start()
    peer = Puppet(b"peer", bytes((10, 0, 1, 1)))
    solo.puppets[peer.ip, peer.port] = peer
    solo.hear(peer.alive(), source=peer)
    for offset in (one, other, one + other):
        solo.swim.tick(max(0, solo.now + offset))
        solo.swim.transmits()
    solo.now += 60 * SECOND
    solo.swim.tick(solo.now)
    solo.collect()
    healthy(solo)
