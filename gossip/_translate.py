"""From the core's tuples to the values users see; the forms are those of `_core.pyi`."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Any

from gossip.events import (
    Event,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberRefuted,
    MemberSuspected,
    MemberUpdated,
    MessageReceived,
    NameConflict,
    PartitionHealed,
    PingCompleted,
    StateReceived,
    SuspicionConfirmed,
)
from gossip.members import Address, Member, Status, decode_name

MemberRow = tuple[bytes, bytes, int, bytes, bytes, int, int, int]

# The core's states in order. A row that waits for accept_member, or was refused, claims to live.
_STATUSES = (
    Status.ALIVE,
    Status.SUSPECT,
    Status.FAILED,
    Status.LEFT,
    Status.ALIVE,
    Status.ALIVE,
)

STATES = {Status.ALIVE: 0, Status.SUSPECT: 1, Status.FAILED: 2, Status.LEFT: 3}


def packed(address: Address) -> bytes:
    """The 4 or 16 bytes of an address; a v4-in-v6 address stays as it was written."""
    return ipaddress.ip_address(address.host).packed


def member_of(row: MemberRow) -> Member:
    name, ip, port, meta, versions, state, incarnation, since_ns = row
    return Member(
        decode_name(name),
        Address.from_bytes(ip, port),
        meta,
        _STATUSES[state],
        incarnation,
        tuple(versions),
        since_ns / 1e9,
    )


def event_of(told: tuple[Any, ...], member_of: Callable[[MemberRow], Member] = member_of) -> Event:
    """The event a user sees; only for those kinds that users see."""
    match told:
        case ("joined", row):
            return MemberJoined(member_of(row))
        case ("updated", row):
            return MemberUpdated(member_of(row))
        case ("suspected", row, by):
            return MemberSuspected(member_of(row), decode_name(by))
        case ("confirmed", row, by):
            return SuspicionConfirmed(member_of(row), decode_name(by))
        case ("refuted", row):
            return MemberRefuted(member_of(row))
        case ("failed", row, by, confirmations, suspect_ns):
            return MemberFailed(member_of(row), decode_name(by), confirmations, suspect_ns / 1e9)
        case ("left", row):
            return MemberLeft(member_of(row))
        case ("conflict", row, ip, port, meta):
            return NameConflict(member_of(row), Address.from_bytes(ip, port), meta)
        case ("message", payload, ip, port, reliable):
            source = None if ip is None else Address.from_bytes(ip, port)
            return MessageReceived(payload, source, reliable)
        case ("state", payload, join):
            return StateReceived(payload, join)
        case ("pinged", row, rtt_ns, payload):
            return PingCompleted(member_of(row), rtt_ns / 1e9, payload)
        case ("healed", lost, regained):
            return PartitionHealed(_sorted_names(lost), _sorted_names(regained))
    raise AssertionError(f"the core told something unknown: {told[0]!r}")


def _sorted_names(names: list[bytes]) -> tuple[str, ...]:
    return tuple(sorted(decode_name(name) for name in names))
