"""Properties of the codec: round trips, and that no bytes make it fail or outgrow its limits."""

from __future__ import annotations

import zlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gossip._core import (
    Envelope,
    StreamReader,
    decode_packet,
    encode_message,
    encode_stream,
    lzw_compress,
    lzw_decompress,
)

KEY = bytes(16)
U16, U32 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1)
I64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
BYTES = st.binary(max_size=600).map(lambda data: {"$hex": data.hex()})
NILLABLE = st.one_of(st.none(), BYTES)
SOURCE = {
    "SourceAddr": st.binary(min_size=1, max_size=16).map(lambda data: {"$hex": data.hex()}),
    "SourcePort": st.integers(1, 2**16 - 1),
    "SourceNode": TEXT.filter(bool),
}
CLAIM = {"Incarnation": U32, "Node": TEXT, "From": TEXT}
FIELDS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "ping": {"SeqNo": U32, "Node": TEXT, **SOURCE},
    "indirectPing": {
        "SeqNo": U32,
        "Target": NILLABLE,
        "Port": U16,
        "Node": TEXT,
        "Nack": st.booleans(),
        **SOURCE,
    },
    "ackResp": {"SeqNo": U32, "Payload": NILLABLE},
    "nackResp": {"SeqNo": U32},
    "suspect": CLAIM,
    "dead": CLAIM,
    "alive": {
        "Incarnation": U32,
        "Node": TEXT,
        "Addr": NILLABLE,
        "Port": U16,
        "Meta": NILLABLE,
        "Vsn": NILLABLE,
    },
}
NODE: dict[str, st.SearchStrategy[Any]] = {
    "Name": TEXT,
    "Addr": NILLABLE,
    "Port": U16,
    "Meta": NILLABLE,
    "Incarnation": U32,
    "State": I64,
    "Vsn": NILLABLE,
}


@st.composite
def messages(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A message by name, with a value for each of its fields."""
    name = draw(st.sampled_from(sorted(FIELDS)))
    return name, draw(st.fixed_dictionaries(FIELDS[name]))


@given(messages())
def test_a_message_decodes_to_what_was_encoded(message: tuple[str, dict[str, Any]]) -> None:
    name, body = message
    decoded = decode_packet(encode_message(name, body))["message"]
    assert (decoded["type_name"], decoded["body"]) == (name, body)


@given(messages(), st.data())
def test_a_message_that_is_cut_short_is_refused(
    message: tuple[str, dict[str, Any]], data: st.DataObject
) -> None:
    encoded = encode_message(*message)
    length = data.draw(st.integers(1, len(encoded) - 1))
    assert "error" in decode_packet(encoded[:length])["message"]


@given(
    message=st.binary(max_size=3000).map(lambda data: b"\x08" + data),
    label=st.binary(max_size=255),
    version=st.integers(0, 1),
    sealed=st.booleans(),
    compression=st.booleans(),
    crc=st.booleans(),
)
def test_a_packet_carries_its_message_through_all_envelopes(
    message: bytes, label: bytes, version: int, sealed: bool, compression: bool, crc: bool
) -> None:
    keys = [KEY] if sealed else []
    sender = Envelope(
        keys=keys, label=label, seal_version=version, compression=compression, refill=bytes
    )
    decoded = decode_packet(sender.encode(message, crc=crc), keys=keys, label=label)
    found = decoded["message"]
    found = found.get("inner", found)
    assert b"\x08" + bytes.fromhex(found["payload"]["$hex"]) == message
    assert (decoded["encryption"] is not None) == sealed
    assert (decoded["crc32"] is not None) == crc
    if crc and not compression:
        assert decoded["crc32"] == zlib.crc32(message)


@given(st.binary(max_size=2000), st.booleans())
def test_no_bytes_make_a_packet_raise(data: bytes, sealed: bool) -> None:
    decoded = decode_packet(data, keys=[KEY] if sealed else [])
    assert ("message" in decoded) != ("error" in decoded)


@given(st.binary(max_size=5000))
def test_lzw_gives_back_what_it_took(data: bytes) -> None:
    assert lzw_decompress(lzw_compress(data)) == data


@given(st.lists(st.sampled_from([b"a", b"b", b"abab", bytes(300)]), max_size=3000))
def test_lzw_survives_full_dictionaries(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    assert lzw_decompress(lzw_compress(data)) == data


@given(
    nodes=st.lists(st.fixed_dictionaries(NODE), max_size=8),
    state=st.binary(max_size=200),
    join=st.booleans(),
    label=st.binary(max_size=20),
    sealed=st.booleans(),
    compression=st.booleans(),
    data=st.data(),
)
def test_a_push_pull_means_the_same_however_its_bytes_are_cut(
    nodes: list[dict[str, Any]],
    state: bytes,
    join: bool,
    label: bytes,
    sealed: bool,
    compression: bool,
    data: st.DataObject,
) -> None:
    header = {"Join": join, "Nodes": len(nodes), "UserStateLen": len(state)}
    message = encode_message("pushPull", header)
    message += b"".join(encode_message("pushNode", node) for node in nodes) + state
    envelope = Envelope(
        keys=[KEY] if sealed else [], label=label, compression=compression, refill=bytes
    )
    stream = encode_stream(envelope, message)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    reader = StreamReader(envelope)
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        result = reader.feed(stream[start:end])
        assert result == ("ready" if end == len(stream) else "more")
    decoded = reader.decoded()
    assert (decoded["header"], decoded["nodes"]) == (header, nodes)
    assert decoded["user_state"] == {"$hex": state.hex()}


@given(st.binary(max_size=500), st.booleans())
def test_no_bytes_make_a_stream_raise(data: bytes, reply: bool) -> None:
    reader = StreamReader(Envelope(), reply=reply)
    assert reader.feed(data) in ("more", "ready", "failed")
    assert reader.end() in ("ready", "failed")
