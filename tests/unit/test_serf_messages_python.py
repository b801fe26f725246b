"""Serf's messages about conflicts and keys (Serf §4, vectors: serf_messages)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossip._serf import messages
from gossip._serf.messages import ConflictResponse, KeyResponse
from gossip._serf.wire import WireError

from .vectors import Vector, ids, load

VECTORS = load("serf_messages")
CONFLICTS = [each for each in VECTORS if each["decoded"].get("type") == 6]
REQUESTS = [each for each in VECTORS if each["decoded"].get("type") == 7]
RESPONSES = [each for each in VECTORS if each["decoded"].get("type") == 8]
BOUNDS = ("Min", "Max", "Cur")
NOTHING = ConflictResponse("", b"", 0, {}, 0, (0, 0, 0, 0, 0, 0))


def raw(value: dict[str, str] | None) -> bytes | None:
    return None if value is None else bytes.fromhex(value["$hex"])


@pytest.mark.parametrize("entry", CONFLICTS, ids=ids)
def test_conflict_responses_read_and_write_like_the_library_s(entry: Vector) -> None:
    wire, body = bytes.fromhex(entry["hex"]), entry["decoded"]["body"]
    found = messages.decode_conflict_response(wire)
    kinds = [f"{what}{which}" for what in ("Protocol", "Delegate") for which in BOUNDS]
    assert found.name == body["Name"]
    assert found.addr == (raw(body["Addr"]) or b"")
    assert (found.port, found.status) == (body["Port"], body["Status"])
    assert found.tags == (body["Tags"] or {})
    assert found.versions == tuple(body[kind] for kind in kinds)
    known = None if found == NOTHING else found
    assert messages.encode_conflict_response(known) == wire


@pytest.mark.parametrize("entry", REQUESTS, ids=ids)
def test_key_requests_read_and_write_like_the_library_s(entry: Vector) -> None:
    wire, key = bytes.fromhex(entry["hex"]), raw(entry["decoded"]["body"]["Key"])
    assert messages.decode_key_request(wire) == (key or b"")
    assert messages.encode_key_request(key) == wire


@pytest.mark.parametrize("entry", RESPONSES, ids=ids)
def test_key_responses_read_and_write_like_the_library_s(entry: Vector) -> None:
    wire, body = bytes.fromhex(entry["hex"]), entry["decoded"]["body"]
    keys = None if body["Keys"] is None else tuple(body["Keys"])
    found = messages.decode_key_response(wire)
    expected = KeyResponse(body["Result"], body["Message"], keys or (), body["PrimaryKey"])
    assert found == expected
    sent = KeyResponse(body["Result"], body["Message"], keys, body["PrimaryKey"])
    assert messages.encode_key_response(sent) == wire


def test_structs_may_come_as_arrays_with_less_or_more_than_is_known() -> None:
    assert messages.decode_key_response(b"\x08\x92\xc3\xa2ok") == KeyResponse(True, "ok", ())
    assert messages.decode_key_response(b"\x08\xc0") == KeyResponse(False, "", ())
    assert messages.decode_key_response(b"\x08\x82\xa1?\x90\xa6Result\x01").result
    assert messages.decode_key_request(b"\x99\x81\xc4\x03Key\x92\x01\x02") == b"\x01\x02"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x08",
        b"\x07\xc0",
        b"\x08\x07",
        b"\x08\x81\xa6Result\x02",
        b"\x08\x81\xa4Keys\xa1x",
        b"\x08\x81\xa7Message\x05",
        b"\x08\x81\x90\x90",
        b"\x08" + b"\x91" * 5000,
    ],
)
def test_what_is_no_key_response_is_refused(payload: bytes) -> None:
    with pytest.raises(WireError):
        messages.decode_key_response(payload)


@given(st.binary(max_size=80))
def test_no_bytes_of_a_peer_raise_anything_else(data: bytes) -> None:
    for read in (messages.decode_conflict_response, messages.decode_key_request):
        try:
            read(b"\x06" + data)
        except WireError:
            continue
