"""Serf's messages that only Python writes and reads: answers about conflicts and keys (Serf §4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gossip._core import pack
from gossip._serf import wire

CONFLICT_RESPONSE = 6
KEY_REQUEST = 7
KEY_RESPONSE = 8

_U8 = wire.number(0xFF)
_U16 = wire.number(0xFFFF)

_CONFLICT_FIELDS: Mapping[str, wire.Read] = {
    "Name": wire.text,
    "Addr": wire.octets,
    "Port": _U16,
    "Tags": wire.texts,
    "Status": wire.number(0x7FFF_FFFF),
    "ProtocolMin": _U8,
    "ProtocolMax": _U8,
    "ProtocolCur": _U8,
    "DelegateMin": _U8,
    "DelegateMax": _U8,
    "DelegateCur": _U8,
}
_KEY_RESPONSE_FIELDS: Mapping[str, wire.Read] = {
    "Result": wire.switch,
    "Message": wire.text,
    "Keys": wire.sequence(wire.text),
    "PrimaryKey": wire.text,
}


@dataclass(frozen=True, slots=True)
class ConflictResponse:
    """The responder's record of the disputed name; `versions` as in a member row: protocol min,
    max, current and delegate min, max, current. Status: 0 none, 1 alive, 2 leaving, 3 left,
    4 failed."""

    name: str
    addr: bytes
    port: int
    tags: Mapping[str, str]
    status: int
    versions: tuple[int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class KeyResponse:
    """What came of a key query on one node; keys are base64."""

    result: bool
    message: str = ""
    keys: tuple[str, ...] | None = None
    primary_key: str = ""

    @property
    def listed(self) -> tuple[str, ...]:
        return self.keys or ()


def encode_conflict_response(found: ConflictResponse | None) -> bytes:
    """None, when no such member is known, is a nil body."""
    if found is None:
        return bytes([CONFLICT_RESPONSE]) + pack(None)
    low, high, current, delegate_low, delegate_high, delegate_current = found.versions
    body = {
        "Addr": found.addr,
        "DelegateCur": delegate_current,
        "DelegateMax": delegate_high,
        "DelegateMin": delegate_low,
        "Name": found.name,
        "Port": found.port,
        "ProtocolCur": current,
        "ProtocolMax": high,
        "ProtocolMin": low,
        "Status": found.status,
        "Tags": dict(sorted(found.tags.items())),
    }
    return bytes([CONFLICT_RESPONSE]) + pack(body)


def decode_conflict_response(payload: bytes) -> ConflictResponse:
    """A nil body reads as a record of nothing. Raises WireError."""
    found = wire.read_struct(_body(payload, CONFLICT_RESPONSE), _CONFLICT_FIELDS)
    names = ("ProtocolMin", "ProtocolMax", "ProtocolCur", "DelegateMin", "DelegateMax")
    low, high, current, delegate_low, delegate_high = (found[name] for name in names)
    return ConflictResponse(
        found["Name"],
        found["Addr"],
        found["Port"],
        found["Tags"],
        found["Status"],
        (low, high, current, delegate_low, delegate_high, found["DelegateCur"]),
    )


def encode_key_request(key: bytes | None) -> bytes:
    return bytes([KEY_REQUEST]) + pack({"Key": key})


def decode_key_request(payload: bytes) -> bytes:
    """The key that is meant; the first byte is not looked at (Serf §12). Raises WireError."""
    if not payload:
        raise wire.WireError("a key request is empty")
    key: bytes = wire.read_struct(payload[1:], {"Key": wire.octets})["Key"]
    return key


def encode_key_response(response: KeyResponse) -> bytes:
    body = {
        "Keys": response.keys,
        "Message": response.message,
        "PrimaryKey": response.primary_key,
        "Result": response.result,
    }
    return bytes([KEY_RESPONSE]) + pack(body)


def decode_key_response(payload: bytes) -> KeyResponse:
    """Raises WireError when the payload is no key response."""
    found = wire.read_struct(_body(payload, KEY_RESPONSE), _KEY_RESPONSE_FIELDS)
    keys = tuple(found["Keys"])
    return KeyResponse(found["Result"], found["Message"], keys, found["PrimaryKey"])


def _body(payload: bytes, kind: int) -> bytes:
    if payload[:1] != bytes([kind]):
        raise wire.WireError(f"a message of type {kind} was expected")
    return payload[1:]
