"""What a key protects, and that what was recorded of it is not accepted twice."""

from __future__ import annotations

import random

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gossip import _aead
from gossip._core import Envelope, encode_stream
from tests.sim import wire
from tests.sim.settings import MILLISECOND
from tests.sim.solo import Puppet, Solo

KEY = bytes(range(16))


def seal(packet: bytes, nonce: bytes, key: bytes = KEY, label: bytes = b"") -> bytes:
    return b"\x01" + nonce + AESGCM(key).encrypt(nonce, packet, label)


def test_a_packet_without_the_key_is_nothing() -> None:
    solo = Solo.start(keys=[KEY])
    peer = Puppet(b"peer", bytes((10, 9, 9, 9)))
    solo.hear(peer.alive())
    solo.hear_packet(seal(peer.alive(), bytes(12), key=bytes(16)))
    solo.hear_packet(seal(peer.alive(), bytes(12), label=b"other pool"))
    assert sorted(row[0] for row in solo.swim.members()) == [b"self"]
    solo.hear_packet(seal(peer.alive(), bytes(12)))
    assert sorted(row[0] for row in solo.swim.members()) == [b"peer", b"self"]


def test_a_replayed_packet_is_dropped_and_counted() -> None:
    solo = Solo.start(keys=[KEY])
    packet = seal(wire.user(b"pay once"), bytes(12))
    for _ in range(5):
        solo.hear_packet(packet)
    assert len(solo.events_of("message")) == 1
    assert solo.dropped("replayed") == 4


def test_a_forged_packet_does_not_burn_the_nonce_of_a_real_one() -> None:
    solo = Solo.start(keys=[KEY])
    nonce = bytes(12)
    solo.hear_packet(b"\x01" + nonce + bytes(40))
    solo.hear_packet(seal(wire.user(b"real"), nonce))
    assert [event[1] for event in solo.events_of("message")] == [b"real"]


def test_the_replay_window_holds_at_least_its_generation() -> None:
    solo = Solo.start(keys=[KEY])
    first = seal(wire.ack(1), (0).to_bytes(12, "big"))
    source = (bytes((192, 0, 2, 1)), 4242)
    flood = [(seal(wire.ack(1), n.to_bytes(12, "big")), *source) for n in range(1, 16_000)]
    solo.hear_packet(first)
    solo.swim.receive(flood, solo.now)
    solo.hear_packet(first)
    assert solo.dropped("replayed") == 1


def test_an_own_packet_that_comes_back_changes_nothing() -> None:
    solo = Solo.start(keys=[KEY])
    peer = Puppet(b"peer", bytes((10, 9, 9, 9)))
    solo.hear_packet(seal(peer.alive(), bytes(12)))
    solo.run_for(900 * MILLISECOND)
    before = solo.swim.members()
    for packet in list(solo.sent):
        solo.hear_packet(packet.data)
    assert solo.swim.members() == before


def test_no_two_packets_share_a_nonce() -> None:
    solo = Solo.start(keys=[KEY])
    for number in range(400):
        solo.hear_packet(seal(wire.ping(number, b"self"), number.to_bytes(12, "big")))
    nonces = [packet.data[1:13] for packet in solo.sent]
    assert len(set(nonces)) == len(nonces) == 400


def test_version_nought_is_sent_only_in_a_pool_of_protocol_one() -> None:
    for version, first in ((1, 0), (2, 1), (5, 1)):
        solo = Solo.start(keys=[KEY], protocol_version=version)
        solo.hear_packet(seal(wire.ping(1, b"self"), bytes(12)))
        assert {packet.data[0] for packet in solo.sent} == {first}


@pytest.mark.parametrize("version", [2, 3, 255])
def test_other_seal_versions_are_refused(version: int) -> None:
    solo = Solo.start(keys=[KEY])
    packet = seal(wire.user(b"x"), bytes(12))
    solo.hear_packet(bytes((version,)) + packet[1:])
    assert solo.dropped("seal_version") == 1


def test_a_bad_padding_of_version_nought_is_refused() -> None:
    solo = Solo.start(keys=[KEY])
    nonces = random.Random(1)
    for padding in (b"\0" * 16, b"\x11" * 16, b"\1" * 14 + b"\2\3"):
        nonce = nonces.randbytes(12)
        sealed = AESGCM(KEY).encrypt(nonce, wire.user(b"15 bytes of it.") + padding, b"")
        solo.hear_packet(b"\0" + nonce + sealed)
    assert not solo.events_of("message")
    assert solo.dropped("padding") == 3


def test_a_replayed_stream_is_refused_and_its_message_not_delivered_again() -> None:
    solo = Solo.start(keys=[KEY])
    backend = _aead.choose("auto")
    envelope = Envelope(keys=[backend.cipher(KEY)], refill=backend.nonces)
    recorded = encode_stream(envelope, wire.user_message(b"pay once"))
    for _ in range(3):
        assert solo.dial(recorded).closed_at is not None
    assert [event[1] for event in solo.events_of("message")] == [b"pay once"]
    assert solo.swim.stats()["streams_failed"] == 2
