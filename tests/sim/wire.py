"""The wire as a foreign node writes it, and our packets read back, for tests.

Writing uses the PyPI msgpack package, so the core does not only understand what it wrote itself;
reading uses the core's own decoder, which the golden vectors check.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import msgpack

from gossip._core import Envelope, decode_stream

PING, INDIRECT_PING, ACK, SUSPECT, ALIVE, DEAD, PUSH_PULL, COMPOUND = range(8)
USER, COMPRESS, ENCRYPT, NACK, CRC, ERR = range(8, 14)
LABEL = 244

STATE_ALIVE, STATE_SUSPECT, STATE_DEAD, STATE_LEFT = range(4)
STATE_NAMES = ("alive", "suspect", "dead", "left")

VSN = bytes((1, 5, 2, 0, 0, 0))
SERF_VSN = bytes((1, 5, 2, 2, 5, 4))


def pack(body: object) -> bytes:
    """A body in the old msgpack dialect: raw strings, no bin (protocol §2)."""
    packed = msgpack.packb(body, use_bin_type=False)
    assert isinstance(packed, bytes)
    return packed


def message(kind: int, body: Mapping[str, object]) -> bytes:
    """One message with sorted keys, as Go writes it."""
    return bytes((kind,)) + pack({key: body[key] for key in sorted(body)})


def ping(seq_no: int, node: bytes, **source: object) -> bytes:
    return message(PING, {"SeqNo": seq_no, "Node": node, **source})


def indirect_ping(
    seq_no: int, target: bytes, port: int, node: bytes, nack: bool = True, **source: object
) -> bytes:
    body = {"SeqNo": seq_no, "Target": target, "Port": port, "Node": node, "Nack": nack}
    return message(INDIRECT_PING, {**body, **source})


def ack(seq_no: int, payload: bytes | None = None) -> bytes:
    return message(ACK, {"SeqNo": seq_no, "Payload": payload})


def nack(seq_no: int) -> bytes:
    return message(NACK, {"SeqNo": seq_no})


def suspect(node: bytes, incarnation: int, accuser: bytes) -> bytes:
    return message(SUSPECT, {"Node": node, "Incarnation": incarnation, "From": accuser})


def dead(node: bytes, incarnation: int, accuser: bytes) -> bytes:
    return message(DEAD, {"Node": node, "Incarnation": incarnation, "From": accuser})


def alive(
    node: bytes,
    addr: bytes | None,
    port: int,
    incarnation: int,
    meta: bytes | None = b"",
    vsn: bytes | None = VSN,
) -> bytes:
    body = {"Node": node, "Addr": addr, "Port": port, "Incarnation": incarnation}
    return message(ALIVE, {**body, "Meta": meta, "Vsn": vsn})


def user(payload: bytes) -> bytes:
    return bytes((USER,)) + payload


def compound(parts: Sequence[bytes]) -> bytes:
    """Protocol §5; at most 255 parts."""
    lengths = b"".join(len(part).to_bytes(2, "big") for part in parts)
    return bytes((COMPOUND, len(parts))) + lengths + b"".join(parts)


def with_crc(packet: bytes) -> bytes:
    return bytes((CRC,)) + zlib.crc32(packet).to_bytes(4, "big") + packet


def push_node(
    name: bytes,
    addr: bytes,
    port: int,
    incarnation: int,
    state: int = STATE_ALIVE,
    meta: bytes | None = b"",
    vsn: bytes | None = VSN,
) -> dict[str, object]:
    """One entry of a push/pull, keys in wire order (protocol §10.3)."""
    return {
        "Addr": addr, "Incarnation": incarnation, "Meta": meta, "Name": name,
        "Port": port, "State": state, "Vsn": vsn,
    }  # fmt: skip


def push_pull(
    nodes: Iterable[Mapping[str, object]],
    *,
    join: bool = False,
    user_state: bytes = b"",
    node_count: int | None = None,
    user_state_len: int | None = None,
) -> bytes:
    """A push/pull; the two counts may be made to lie."""
    entries = [pack(node) for node in nodes]
    header = {
        "Join": join,
        "Nodes": len(entries) if node_count is None else node_count,
        "UserStateLen": len(user_state) if user_state_len is None else user_state_len,
    }
    return bytes((PUSH_PULL,)) + pack(header) + b"".join(entries) + user_state


def user_message(payload: bytes, length: int | None = None) -> bytes:
    """A reliable user message (protocol §10.5); the length may be made to lie."""
    header = {"UserMsgLen": len(payload) if length is None else length}
    return bytes((USER,)) + pack(header) + payload


@dataclass(frozen=True)
class Message:
    """One typed unit of a packet; `body` has bytes where the vectors have `$hex`, names as str."""

    kind: str
    body: dict[str, Any] = field(default_factory=dict)
    payload: bytes = b""

    def __getitem__(self, key: str) -> Any:
        return self.body[key]


def plain(value: Any) -> Any:
    """A value of the vectors' notation with its `$hex` strings as bytes."""
    if isinstance(value, dict):
        if value.keys() == {"$hex"}:
            return bytes.fromhex(value["$hex"])
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _leaves(decoded: dict[str, Any]) -> list[Message]:
    if "error" in decoded:
        raise AssertionError(f"the core sent what it cannot read itself: {decoded}")
    if "inner" in decoded:
        return _leaves(decoded["inner"])
    if "parts" in decoded:
        return [leaf for part in decoded["parts"] or () for leaf in _leaves(part)]
    payload = plain(decoded.get("payload", {"$hex": ""}))
    return [Message(decoded["type_name"], plain(decoded.get("body", {})), payload)]


@cache
def envelope(keys: tuple[bytes, ...], label: bytes) -> Envelope:
    return Envelope(keys=keys, label=label)


def read(packet: bytes, keys: Sequence[bytes] = (), label: bytes = b"") -> list[Message]:
    """Every message of a packet the core sent, envelopes opened, in wire order."""
    decoded = envelope(tuple(keys), label).decode(packet)
    return _leaves(decoded if "error" in decoded else decoded["message"])


def read_stream(
    data: bytes, keys: Sequence[bytes] = (), label: bytes = b"", *, reply: bool = False
) -> dict[str, Any]:
    """What one side of a stream wrote, in the vectors' form with bytes for `$hex`.

    Only the dialler writes a label header; `reply` reads what the other side wrote.
    """
    decoded = plain(decode_stream(data, keys=keys, label=label, reply=reply))
    assert isinstance(decoded, dict)
    return decoded
