"""Serf's messages as a foreign node writes them, and what a core with a Serf layer sent, read back.

Writing and reading use the PyPI msgpack package, so the core does not only agree with itself.
"""

from __future__ import annotations

from typing import Any

import msgpack

from . import wire
from .solo import Solo

LEAVE, JOIN, PUSH_PULL, USER_EVENT, QUERY, RESPONSE = range(6)
RELAY = 9
STATUS_NAMES = ("none", "alive", "leaving", "left", "failed")
NAMES = {LEAVE: "leave", JOIN: "join", USER_EVENT: "userEvent", QUERY: "query",
         RESPONSE: "queryResponse", RELAY: "relay", PUSH_PULL: "pushPull"}  # fmt: skip


def join_intent(node: bytes, ltime: int) -> bytes:
    return wire.message(JOIN, {"LTime": ltime, "Node": node})


def leave_intent(node: bytes, ltime: int, prune: bool = False) -> bytes:
    return wire.message(LEAVE, {"LTime": ltime, "Node": node, "Prune": prune})


def user_event(name: bytes, ltime: int, payload: bytes | None = b"", cc: bool = False) -> bytes:
    body = {"CC": cc, "LTime": ltime, "Name": name, "Payload": payload}
    return wire.message(USER_EVENT, body)


def query(name: bytes, ltime: int, id_: int, **changes: Any) -> bytes:
    """A query of 10.0.1.1, which is the first puppet's address."""
    body: dict[str, Any] = {
        "LTime": ltime, "ID": id_, "Addr": bytes((10, 0, 1, 1)), "Port": 7946,
        "SourceNode": b"peer", "Filters": None, "Flags": 0, "RelayFactor": 0,
        "Timeout": 5_000_000_000, "Name": name, "Payload": b"",
    }  # fmt: skip
    assert changes.keys() <= body.keys()
    return wire.message(QUERY, body | changes)


def response(ltime: int, id_: int, from_: bytes, payload: bytes | None, flags: int = 0) -> bytes:
    body = {"LTime": ltime, "ID": id_, "From": from_, "Flags": flags, "Payload": payload}
    return wire.message(RESPONSE, body)


def relay(ip: bytes, port: int, name: bytes, inner: bytes) -> bytes:
    dest = {"IP": ip, "Port": port, "Zone": b""}
    return wire.message(RELAY, {"DestAddr": dest, "DestName": name}) + inner


def read(payload: bytes) -> tuple[str, dict[str, Any]]:
    """A Serf message by its name and body; byte strings stay bytes."""
    unpacker = msgpack.Unpacker(raw=True, strict_map_key=False)
    unpacker.feed(payload[1:])
    body = {key.decode(): value for key, value in unpacker.unpack().items()}
    return NAMES[payload[0]], body


def hear(solo: Solo, *messages: bytes) -> None:
    """Serf messages as the user messages of one packet."""
    solo.hear(*(wire.user(message) for message in messages))


def gossiped(solo: Solo, since: int = 0) -> list[tuple[str, dict[str, Any]]]:
    """Every Serf message the core sent so far, in order, repetitions included."""
    return [
        read(message.payload)
        for packet in solo.sent
        for message in packet.messages
        if message.kind == "user" and packet.at >= since
    ]


def status(solo: Solo, name: bytes) -> str:
    row = solo.serf.member(name)
    return "none" if row is None else STATUS_NAMES[row[5]]


def status_ltime(solo: Solo, name: bytes) -> int | None:
    row = solo.serf.member(name)
    return None if row is None else row[6]


def lists(solo: Solo) -> list[str]:
    """Who is in the lists of the failed and of the left, in the vectors' notation."""
    rows = sorted(solo.serf.members())
    return [f"{STATUS_NAMES[row[5]]}:{row[0].decode()}" for row in rows if row[5] in (3, 4)]
