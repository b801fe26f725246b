"""The recorded TCP dialogues replayed: what a Go node was sent goes in, its answer comes out."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.sim import wire
from tests.sim.settings import MILLISECOND
from tests.sim.solo import Solo, Stream
from tests.unit.vectors import load

PUSH_PULLS = load("stream_pushpull")
PINGS = load("stream_tcpping")
USERS = load("stream_user")
ERRORS = load("stream_errors")


def keys_of(vector: dict[str, Any]) -> list[bytes]:
    context = vector["context"]
    return [bytes.fromhex(key) for key in context.get("keys") or context.get("server_keys") or ()]


def label_of(vector: dict[str, Any]) -> bytes:
    context = vector["context"]
    return str(context.get("label", context.get("server_label", ""))).encode()


def server(vector: dict[str, Any], **changes: Any) -> Solo:
    """A node as the recorded one was set up; `changes` say who it is."""
    who: dict[str, Any] = {
        "name": b"srv", "delegate_protocol_min": 2, "delegate_protocol_max": 5,
        "delegate_protocol_version": 4,
        "protocol_version": 1 if "encrypted-v0" in vector["name"] else 2,
        "enable_compression": int(vector["context"]["compression"]),
    }  # fmt: skip
    return Solo.start(label=label_of(vector), **(who | changes))


def dial(solo: Solo, vector: dict[str, Any], *, cut: bool) -> Stream:
    """Install the keys, dial and write; `cut` writes in random pieces."""
    if keys_of(vector):
        solo.install(keys_of(vector))
    data = bytes.fromhex(vector["hex"])
    pieces = random.Random(len(data))
    stream = solo.dial(b"")
    while data:
        size = pieces.randint(1, len(data)) if cut else len(data)
        solo.feed(stream, data[:size])
        data = data[size:]
    if vector["context"].get("half_closed"):
        solo.end(stream)
        solo.collect()
    return stream


def reply_of(vector: dict[str, Any], stream: Stream) -> dict[str, Any]:
    return wire.read_stream(stream.written, keys_of(vector), label_of(vector), reply=True)


def same_envelopes(reply: dict[str, Any], recorded: dict[str, Any]) -> None:
    assert reply["label"] is None
    assert reply["compressed"] == recorded["compressed"]
    assert bool(reply["encryption"]) == bool(recorded["encryption"])
    if recorded["encryption"]:
        assert reply["encryption"]["version"] == recorded["encryption"]["version"]
        assert reply["encryption"]["length"] == recorded["encryption"]["length"]


# Push/pull: the table is the recorded one, so the reply is the recorded one but for the order.


def recorded_server(vector: dict[str, Any]) -> Solo:
    """A server with the table and the user state that the recorded reply shows."""
    recorded = wire.plain(vector["reply_decoded"])
    rows = {row["Name"]: row for row in recorded["nodes"]}
    own = rows.pop(min(rows, key=lambda name: (not name.startswith("srv"), name)))
    versions = own["Vsn"]
    solo = server(
        vector, name=own["Name"].encode(), address=own["Addr"], port=own["Port"],
        meta=own["Meta"] or b"", protocol_version=versions[2], delegate_protocol_min=versions[3],
        delegate_protocol_max=versions[4], delegate_protocol_version=versions[5],
    )  # fmt: skip
    solo.swim.set_local_state(recorded["user_state"] or b"")
    for row in rows.values():
        teach(solo, row)
    return solo


def teach(solo: Solo, row: dict[str, Any]) -> None:
    """Bring a member into a recorded state, by the claims that lead there."""
    name, incarnation = row["Name"].encode(), row["Incarnation"]
    claims = [
        wire.alive(name, row["Addr"], row["Port"], incarnation, row["Meta"], row["Vsn"]),
        {
            wire.STATE_ALIVE: b"",
            wire.STATE_SUSPECT: wire.suspect(name, incarnation, b"x"),
            wire.STATE_DEAD: wire.dead(name, incarnation, b"x"),
            wire.STATE_LEFT: wire.dead(name, incarnation, name),
        }[row["State"]],
    ]
    header = bytes((wire.LABEL, len(solo.label))) + solo.label if solo.label else b""
    for claim in filter(None, claims):
        solo.hear_packet(header + claim)


def comparable(nodes: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Rows whatever their order; no metadata and empty metadata are the same."""
    return sorted(
        (
            node["Name"], node["Addr"], node["Port"], node["Meta"] or b"", node["Incarnation"],
            node["State"], node["Vsn"],
        )
        for node in nodes
    )  # fmt: skip


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
@pytest.mark.parametrize("vector", PUSH_PULLS, ids=lambda vector: vector["name"])
def test_a_recorded_push_pull_is_answered_as_recorded(vector: dict[str, Any], cut: bool) -> None:
    solo = recorded_server(vector)
    stream = dial(solo, vector, cut=cut)
    reply, recorded = reply_of(vector, stream), wire.plain(vector["reply_decoded"])
    assert reply["header"] == recorded["header"]
    assert comparable(reply["nodes"]) == comparable(recorded["nodes"])
    assert reply["user_state"] == recorded["user_state"]
    assert stream.closed_at is not None
    asked = wire.plain(vector["decoded"])
    merged = {row[0].decode() for row in solo.swim.members()}
    assert {node["Name"] for node in asked["nodes"]} <= merged
    states = [event[1:] for event in solo.events_of("state")]
    said = asked["user_state"]
    assert states == ([(said, asked["header"]["Join"])] if said else [])


@pytest.mark.parametrize("vector", PUSH_PULLS, ids=lambda vector: vector["name"])
def test_a_recorded_reply_is_merged_by_the_dialler(vector: dict[str, Any]) -> None:
    recorded = wire.plain(vector["reply_decoded"])
    versions = recorded["nodes"][0]["Vsn"]
    solo = server(
        vector, name=b"dialler", protocol_version=versions[2], delegate_protocol_min=versions[3],
        delegate_protocol_max=versions[4], delegate_protocol_version=versions[5],
    )  # fmt: skip
    if keys_of(vector):
        solo.install(keys_of(vector))
    seed = solo.puppet("seed", dialled="accept")
    seed.serve = lambda data: bytes.fromhex(vector["reply_hex"])
    request = solo.swim.join(seed.ip, seed.port, b"", solo.now)
    solo.collect()
    solo.run_for(100 * MILLISECOND)
    assert ("done", request, None, 0) in solo.events
    alive = {node["Name"] for node in recorded["nodes"] if node["State"] == wire.STATE_ALIVE}
    assert {row[0].decode() for row in solo.swim.members()} == alive | {"dialler"}
    sent = wire.read_stream(solo.dialled[0].written, keys_of(vector), label_of(vector))
    assert (sent["label"] or "").encode() == label_of(vector)


# Pings, user messages.


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
@pytest.mark.parametrize("vector", PINGS, ids=lambda vector: vector["name"])
def test_a_recorded_ping_is_answered_as_recorded(vector: dict[str, Any], cut: bool) -> None:
    asked = wire.plain(vector["decoded"])
    name = "srv0-1" if asked["body"]["Node"] == "somebody-else" else asked["body"]["Node"]
    solo = server(vector, name=name.encode())
    stream = dial(solo, vector, cut=cut)
    same_reply(vector, stream)


def same_reply(vector: dict[str, Any], stream: Stream) -> None:
    """Byte for byte where no nonce is in it, else what it opens to."""
    recorded = wire.plain(vector["reply_decoded"])
    assert stream.closed_at is not None
    if recorded.get("empty"):
        assert stream.written == b""
    elif recorded["encryption"]:
        reply = reply_of(vector, stream)
        same_envelopes(reply, recorded)
        assert reply["body"] == recorded["body"]
    else:
        assert stream.written.hex() == vector["reply_hex"]


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
@pytest.mark.parametrize("vector", USERS, ids=lambda vector: vector["name"])
def test_a_recorded_user_message_is_delivered(vector: dict[str, Any], cut: bool) -> None:
    solo = server(vector)
    stream = dial(solo, vector, cut=cut)
    payload = wire.plain(vector["decoded"])["user_msg"]
    delivered = [event[1] for event in solo.events_of("message")]
    assert delivered == ([payload] if payload else [])
    same_reply(vector, stream)


@pytest.mark.parametrize("cut", [False, True], ids=["whole", "cut"])
@pytest.mark.parametrize("vector", ERRORS, ids=lambda vector: vector["name"])
def test_a_recorded_mistake_is_answered_as_recorded(vector: dict[str, Any], cut: bool) -> None:
    solo = server(vector, address=bytes((127, 0, 0, 1)))
    stream = dial(solo, vector, cut=cut)
    recorded = wire.plain(vector["reply_decoded"])
    if recorded.get("nodes"):
        (own,) = reply_of(vector, stream)["nodes"]
        (theirs,) = recorded["nodes"]
        assert own | {"Port": 0, "Meta": None} == theirs | {"Port": 0, "Meta": None}
    else:
        same_reply(vector, stream)
    assert solo.swim.member_count == 1
