"""Golden vectors of datagrams: decoded like the library does, and written back byte for byte."""

from __future__ import annotations

from typing import Any

import pytest

from gossip._core import Envelope, decode_packet, encode_message

from . import vectors
from .vectors import Vector

PACKET_FILES = (
    "memberlist_messages",
    "memberlist_compound",
    "memberlist_envelopes",
    "memberlist_encrypted",
    "memberlist_malformed",
    "live_packets",
    "consul_live",
)
# err messages and push/pulls of these files are no datagrams; other tests have them.
PACKETS = [
    pytest.param(name, entry, id=f"{name}:{entry['name']}")
    for name in PACKET_FILES
    for entry in vectors.load(name)
    if entry["decoded"].keys() & {"message", "error"}
]


def comparable(decoded: Any) -> Any:
    """Without the Serf layer, and of an error only that there is one: its text is our own."""
    if isinstance(decoded, dict):
        return {
            key: True if key == "error" else comparable(value)
            for key, value in decoded.items()
            if key != "serf"
        }
    if isinstance(decoded, list):
        return [comparable(item) for item in decoded]
    return decoded


@pytest.mark.parametrize(("name", "entry"), PACKETS)
def test_a_packet_decodes_as_the_library_decodes_it(name: str, entry: Vector) -> None:
    context = entry.get("context") or {}
    packet = bytes.fromhex(entry["hex"])
    got = decode_packet(packet, keys=vectors.keys_of(context), label=vectors.label_of(context))
    if name == "consul_live":  # its decoder did not record the seal
        assert got.pop("encryption")["version"] == 1
    assert comparable(got) == comparable(entry["decoded"])


def encoded(message: dict[str, Any]) -> bytes:
    """A decoded message written again, envelopes and all."""
    if message["type_name"] == "user":
        return b"\x08" + bytes.fromhex(message["payload"]["$hex"])
    if message["type_name"] != "compound":
        return encode_message(message["type_name"], message["body"])
    parts = [encoded(part) for part in message["parts"] or ()]
    lengths = b"".join(len(part).to_bytes(2, "big") for part in parts)
    return bytes([7, len(parts)]) + lengths + b"".join(parts)


def whole(message: dict[str, Any]) -> bool:
    """Whether a decoded message has lost nothing of what was on the wire."""
    inside = (message.get("parts") or []) + ([message["inner"]] if "inner" in message else [])
    return (
        "error" not in message
        and not message.get("truncated")
        and all(whole(part) for part in inside)
    )


@pytest.mark.parametrize("entry", vectors.load("memberlist_messages"), ids=vectors.ids)
def test_a_message_encodes_to_the_bytes_of_the_library(entry: Vector) -> None:
    message = entry["decoded"].get("message", entry["decoded"])
    assert encoded(message).hex() == entry["hex"]


REWRITTEN = [
    pytest.param(entry, id=f"{name}:{entry['name']}")
    for name in PACKET_FILES
    if name not in ("memberlist_messages", "memberlist_malformed", "consul_live")
    for entry in vectors.load(name)
    if "error" not in entry["decoded"] and whole(entry["decoded"]["message"])
]


def envelope_for(entry: Vector) -> Envelope:
    """What the sender of a vector used, with the vector's own nonce."""
    context, decoded = entry.get("context") or {}, entry["decoded"]
    seal = decoded["encryption"]
    nonce = bytes.fromhex(seal["nonce"]) if seal else b""
    return Envelope(
        keys=vectors.keys_of(context),
        label=vectors.label_of(context),
        seal_version=seal["version"] if seal else 1,
        refill=lambda n: (nonce * n)[:n],
        compression=False,
    )


@pytest.mark.parametrize("entry", REWRITTEN)
def test_a_packet_is_written_back_byte_for_byte(entry: Vector) -> None:
    decoded = entry["decoded"]
    context = entry.get("context") or {}
    if "secondkey" in entry["name"]:  # its sender's primary is our second
        context = context | {"keys": context["keys"][::-1]}
    packet = envelope_for(entry | {"context": context}).encode(
        encoded(decoded["message"]), crc=decoded["crc32"] is not None
    )
    assert packet.hex() == entry["hex"]


COMPRESSED = [
    entry
    for name in ("memberlist_envelopes", "live_packets")
    for entry in vectors.load(name)
    if entry["decoded"].get("message", {}).get("type_name") == "compress"
    and whole(entry["decoded"]["message"])
    and not entry["decoded"]["encryption"]
]


@pytest.mark.parametrize("entry", COMPRESSED, ids=vectors.ids)
def test_a_smaller_packet_is_compressed_as_the_library_compresses_it(entry: Vector) -> None:
    decoded = entry["decoded"]
    plain = encoded(decoded["message"]["inner"])
    label = vectors.label_of(entry.get("context") or {})
    packet = Envelope(label=label, compression=True).encode(plain, crc=decoded["crc32"] is not None)
    compressed = len(bytes.fromhex(decoded["message"]["body"]["Buf"]["$hex"])) + 15 < len(plain)
    if compressed:
        assert packet.hex() == entry["hex"]
    else:
        assert decode_packet(packet, label=label)["message"] == comparable(
            decoded["message"]["inner"]
        )
