"""Serf's messages that the core handles itself, against those of the library (Serf §3, §4)."""

from __future__ import annotations

import pytest

from gossip._core import decode_serf, encode_serf

from .vectors import Vector, ids, load

HANDLED = {"join", "leave", "userEvent", "query", "queryResponse", "relay"}
VECTORS = [each for each in load("serf_messages") if each["decoded"].get("type_name") in HANDLED]
# Of what Python handles, the library's own words stand for the inner message here.
SHOWN = ("type", "type_name", "body")


def test_there_are_vectors_of_every_message() -> None:
    assert {each["decoded"]["type_name"] for each in VECTORS} == HANDLED
    assert len(VECTORS) > 100


@pytest.mark.parametrize("entry", VECTORS, ids=ids)
def test_a_message_reads_and_writes_like_the_library_s(entry: Vector) -> None:
    data, expected = bytes.fromhex(entry["hex"]), entry["decoded"]
    found = decode_serf(data)
    assert {key: found[key] for key in SHOWN} == {key: expected[key] for key in SHOWN}
    head = encode_serf(found["type_name"], found["body"])
    if found["type_name"] == "relay":
        inner = found["inner"]
        assert inner == expected["inner"]
        head += encode_serf(inner["type_name"], inner["body"])
    assert head == data


def test_what_is_no_message_of_serf_is_shown_as_that() -> None:
    assert decode_serf(b"")["error"] == "unsupported type"
    assert decode_serf(b"\x06\xc0")["error"] == "unsupported type"
    assert decode_serf(b"\x03\xa1x")["error"] == "msgpack decode error"
    with pytest.raises(ValueError, match="no Serf message 'pushPull'"):
        encode_serf("pushPull", {})
    with pytest.raises(ValueError, match="join has no field 'Prune'"):
        encode_serf("join", {"Prune": True})
