"""Envelopes of datagrams: labels, seals, replays, and the budgets that bound a hostile packet."""

from __future__ import annotations

import os
import random
import zlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gossip._core import Envelope, decode_packet, encode_message, lzw_compress

KEY, OTHER = bytes(range(16)), bytes(range(32))
PING = encode_message("ping", {"SeqNo": 7, "Node": "n"})
USER = b"\x08payload"


def compound(*parts: bytes) -> bytes:
    lengths = b"".join(len(part).to_bytes(2, "big") for part in parts)
    return bytes([7, len(parts)]) + lengths + b"".join(parts)


def compressed(message: bytes) -> bytes:
    return encode_message("compress", {"Algo": 0, "Buf": lzw_compress(message)})


def flat(message: dict[str, Any]) -> list[dict[str, Any]]:
    """A message and all that is in it, in wire order."""
    inside = list(message.get("parts") or ()) + ([message["inner"]] if "inner" in message else [])
    return [message] + [part for each in inside for part in flat(each)]


def errors(decoded: dict[str, Any]) -> list[str]:
    if "error" in decoded:
        return [decoded["error"]]
    return [part["error"] for part in flat(decoded["message"]) if "error" in part]


# -- labels


@pytest.mark.parametrize(
    ("sent", "expected", "accepted"),
    [
        *((b"", b"", True), (b"a", b"a", True), (b"x" * 255, b"x" * 255, True)),
        *((b"a", b"", False), (b"", b"a", False), (b"a", b"b", False), (b"a", b"aa", False)),
    ],
)
def test_a_label_must_be_exactly_the_receiver_s(
    sent: bytes, expected: bytes, accepted: bool
) -> None:
    packet = Envelope(label=sent).encode(PING)
    assert ("error" not in decode_packet(packet, label=expected)) == accepted


def test_without_the_label_check_a_header_is_an_error_and_the_label_authenticates() -> None:
    sender = Envelope(label=b"pool", keys=[KEY], refill=os.urandom)
    stripped = sender.encode(PING)[6:]
    receiver = Envelope(label=b"pool", keys=[KEY], skip_inbound_label_check=True)
    assert "message" in receiver.decode(stripped)
    assert receiver.decode(sender.encode(PING))["error"] == "unexpected label header"
    assert "error" in Envelope(keys=[KEY]).decode(stripped)


def test_nothing_behind_a_label_is_a_missing_type_and_no_bytes_at_all_an_empty_packet() -> None:
    assert errors(decode_packet(b"\xf4\x01a", label=b"a")) == ["missing message type byte"]
    assert errors(decode_packet(b"")) == ["empty packet"]


# -- seals


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("size", [16, 24, 32])
@pytest.mark.parametrize("length", range(1, 34))
def test_what_is_sealed_opens_with_any_key_of_the_ring(
    version: int, size: int, length: int
) -> None:
    key = os.urandom(size)
    message = b"\x08" + bytes(length - 1)
    sender = Envelope(keys=[key], refill=os.urandom, seal_version=version, label=b"pool")
    packet = sender.encode(message, crc=True)
    padding = 16 - (length + 5) % 16 if version == 0 else 0
    assert len(packet) == 6 + 29 + 5 + length + padding
    decoded = decode_packet(packet, keys=[OTHER, key], label=b"pool")
    assert decoded["message"]["payload"] == {"$hex": message[1:].hex()}
    assert decoded["encryption"]["version"] == version
    assert "error" in decode_packet(packet, keys=[OTHER], label=b"pool")


@pytest.mark.parametrize(
    "padding", [b"\x00", b"\x11" * 17, b"\x02\x01\x02\x03", b"\x01\x02", bytes(16)]
)
def test_bad_padding_of_version_0_is_refused(padding: bytes) -> None:
    plain = bytes(16 - len(padding) % 16) + padding
    sealed = AESGCM(KEY).encrypt(bytes(12), plain, b"")
    assert errors(decode_packet(b"\x00" + bytes(12) + sealed, keys=[KEY])) == ["bad padding"]


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (b"\x02" + bytes(60), "unsupported encryption version"),
        (b"\x01" + bytes(27), "payload is too small to decrypt"),
        (b"\x00" + bytes(43), "payload is too small to decrypt"),
        (b"\x01" + bytes(28), "no installed keys could decrypt the message"),
    ],
)
def test_what_cannot_be_a_seal_is_refused(packet: bytes, text: str) -> None:
    assert errors(decode_packet(packet, keys=[KEY])) == [text]


def test_a_seal_of_nothing_is_a_missing_type() -> None:
    sealed = b"\x01" + bytes(12) + AESGCM(KEY).encrypt(bytes(12), b"", b"")
    assert errors(decode_packet(sealed, keys=[KEY])) == ["missing message type byte"]


def test_without_verification_a_plain_packet_passes_a_node_with_keys() -> None:
    assert "error" in Envelope(keys=[KEY]).decode(PING)
    lenient = Envelope(keys=[KEY], verify_incoming=False)
    assert lenient.decode(PING)["message"]["type_name"] == "ping"
    assert "encryption" in lenient.decode(Envelope(keys=[KEY], refill=os.urandom).encode(PING))
    assert Envelope(keys=[KEY], verify_outgoing=False).encode(PING) == PING


def test_every_nonce_is_used_once() -> None:
    drawn: list[bytes] = []

    def refill(n: int) -> bytes:
        drawn.append(os.urandom(n))
        return drawn[-1]

    sender = Envelope(keys=[KEY], refill=refill)
    nonces = [sender.encode(PING)[1:13] for _ in range(600)]
    assert len(set(nonces)) == 600
    assert b"".join(drawn).startswith(b"".join(nonces))
    assert len(drawn) == 3


@pytest.mark.parametrize("source", [None, lambda n: b"", lambda n: bytes(n + 1), lambda n: 1 / 0])
def test_without_good_nonces_nothing_is_sealed(source: Any) -> None:
    sender = Envelope(keys=[KEY], refill=source)
    with pytest.raises(ValueError, match="no packet"):
        sender.encode(PING)


def test_a_packet_is_accepted_once_within_the_replay_window() -> None:
    counter = iter(range(10**6))
    sender = Envelope(
        keys=[KEY],
        refill=lambda n: b"".join(next(counter).to_bytes(12, "big") for _ in range(n // 12)),
    )
    receiver = Envelope(keys=[KEY], refuse_replays=True)
    first = sender.encode(PING)
    assert errors(receiver.decode(first)) == []
    assert errors(receiver.decode(first)) == ["replayed"]
    for _ in range(16384):
        assert errors(receiver.decode(sender.encode(USER))) == []
    assert errors(receiver.decode(first)) == ["replayed"]
    for _ in range(16384):
        assert errors(receiver.decode(sender.encode(USER))) == []
    assert errors(receiver.decode(first)) == []  # two windows later it is forgotten


def test_a_forged_packet_does_not_use_up_the_nonce_it_carries() -> None:
    packet = Envelope(keys=[KEY], refill=os.urandom).encode(PING)
    receiver = Envelope(keys=[KEY], refuse_replays=True)
    forged = packet[:-1] + bytes([packet[-1] ^ 1])
    assert errors(receiver.decode(forged)) == ["no installed keys could decrypt the message"]
    assert errors(receiver.decode(packet)) == []


# -- CRC


def test_the_crc_is_that_of_zlib_at_every_length() -> None:
    """Short, in whole blocks of each way to compute it, and with a rest behind them."""
    noise = random.Random(1).randbytes(1500)
    envelope = Envelope()
    for length in (*range(300), 1399, 1400, 1401):
        message = b"\x08" + noise[:length]
        checked = envelope.encode(message, crc=True)
        assert checked == b"\x0c" + zlib.crc32(message).to_bytes(4, "big") + message


def test_a_crc_is_looked_for_once_and_only_outside() -> None:
    checked = Envelope().encode(PING, crc=True)
    twice = Envelope().encode(checked, crc=True)
    assert errors(decode_packet(checked)) == []
    assert errors(decode_packet(twice)) == ["unsupported type"]
    assert errors(decode_packet(compound(checked, PING))) == ["unsupported type"]
    assert errors(decode_packet(b"\x0c\x00\x00\x00")) == ["unsupported type"]
    assert errors(decode_packet(b"\x0c\x00\x00\x00\x00")) == ["missing message type byte"]


# -- budgets


@pytest.mark.parametrize(("depth", "accepted"), [(8, True), (9, False), (12, False)])
@pytest.mark.parametrize("wrap", [compound, compressed])
def test_envelopes_within_envelopes_are_bounded(wrap: Any, depth: int, accepted: bool) -> None:
    packet = PING
    for _ in range(depth):
        packet = wrap(packet)
    assert errors(decode_packet(packet)) == ([] if accepted else ["too deep"])


def test_the_parts_of_all_compounds_of_a_packet_are_bounded() -> None:
    inner = compound(*[USER] * 255)
    fits = compound(inner, inner, inner, compound(*[USER] * 250))
    assert len(flat(decode_packet(fits)["message"])) == 1020
    assert errors(decode_packet(fits)) == []
    too_many = decode_packet(compound(inner, inner, inner, inner, inner))
    assert len(flat(too_many["message"])) == 1024
    assert errors(too_many) == ["too many parts"]


def test_inflated_bytes_are_bounded_over_all_parts_of_a_packet() -> None:
    bomb = compressed(b"\x08" + bytes(50_000))
    assert errors(decode_packet(compound(bomb, bomb))) == []
    assert errors(decode_packet(compound(bomb, bomb, bomb, PING))) == [
        "decompressed data exceeds the limit"
    ]


def test_a_part_that_fails_to_inflate_spends_the_budget_too() -> None:
    data = lzw_compress(b"\x08" + bytes(75_000))
    broken = encode_message("compress", {"Algo": 0, "Buf": data[:-2]})
    assert errors(decode_packet(compound(broken, broken))) == [
        "unexpected EOF",
        "decompressed data exceeds the limit",
    ]


def test_a_compound_inside_is_cut_where_its_bytes_end_and_the_rest_goes_on() -> None:
    short = compound(PING, USER)[:-3]
    decoded = decode_packet(compound(short, USER))
    names = [part["type_name"] for part in flat(decoded["message"])]
    assert names == ["compound", "compound", "ping", "user"]
    assert decoded["message"]["parts"][0]["truncated"] == 1


@pytest.mark.parametrize("packet", [b"\x07", b"\x07\x01", b"\x07\x02\x00\x01\x00"])
def test_a_compound_without_its_table_of_lengths_is_refused(packet: bytes) -> None:
    assert errors(decode_packet(packet)) == ["truncated compound"]


@pytest.mark.parametrize("type_", [6, 10, 12, 13, 14, 100, 244, 255])
def test_types_that_do_not_belong_inside_a_packet_are_refused(type_: int) -> None:
    assert errors(decode_packet(compound(bytes([type_, 0x80]), PING))) == ["unsupported type"]


# -- writing


def test_compression_is_used_only_if_it_makes_the_packet_smaller() -> None:
    sender = Envelope(compression=True)
    assert sender.encode(PING) == PING
    assert sender.encode(b"\x08" + bytes(500)) == compressed(b"\x08" + bytes(500))


@pytest.mark.parametrize(
    ("settings", "directed", "in_gossip"),
    [
        ({}, 0, 0),
        ({"label": b"pool"}, 6, 6),
        ({"keys": [KEY]}, 29, 29),
        ({"keys": [KEY], "seal_version": 0}, 45, 45),
        ({"keys": [KEY], "verify_outgoing": False}, 0, 29),
        ({"keys": [KEY], "label": b"x" * 255}, 286, 286),
    ],
)
def test_the_overhead_of_label_and_seal_is_the_library_s(
    settings: dict[str, Any], directed: int, in_gossip: int
) -> None:
    envelope = Envelope(**settings)
    assert envelope.overhead(gossip=False) == directed
    assert envelope.overhead(gossip=True) == in_gossip


def test_wrong_arguments_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="a label has at most 255 bytes"):
        Envelope(label=b"x" * 256)
    with pytest.raises(ValueError, match="at most 32 keys"):
        Envelope(keys=[KEY] * 33)
    with pytest.raises(ValueError, match="seal version is 0 or 1"):
        Envelope(seal_version=2)
