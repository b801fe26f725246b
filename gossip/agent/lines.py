"""How events look: one line for a reader, one JSON object for a machine. Prints nothing itself.

In JSON an event is `{"event": "member_joined", ...}` with the fields of its class; an address is
"host:port", and bytes are {"$hex": "..."}, as in `gossip decode`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum

import gossip
from gossip._io.reporter import printable

Json = str | int | float | bool | None | dict[str, "Json"] | list["Json"]

_TEXT_BYTES_MAX = 60

# Times of this process's monotonic clock, and functions, say nothing to another process.
_OWN_CLOCK = {
    (gossip.Member, "since"),
    (gossip.QueryReceived, "deadline"),
    (gossip.QueryReceived, "answer"),
}


def to_json(value: object) -> Json:
    """A value of the public interface as JSON."""
    match value:
        case gossip.Address() | Enum():
            return str(value)
        case bytes():
            return {"$hex": value.hex()}
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {str(key): to_json(item) for key, item in value.items()}
        case tuple() | list():
            return [to_json(item) for item in value]
    if not is_dataclass(value):
        raise TypeError(f"{type(value).__name__} has no JSON form")
    return {
        field.name: to_json(getattr(value, field.name))
        for field in fields(value)
        if (type(value), field.name) not in _OWN_CLOCK
    }


def event_to_json(event: gossip.Event) -> dict[str, Json]:
    """An event as one JSON object."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
    body = to_json(event)
    assert isinstance(body, dict)
    return {"event": name, **body}


def text_of(payload: bytes) -> str:
    """Bytes for a reader: as text where they are text, cut off where they are long."""
    text = payload[:_TEXT_BYTES_MAX].decode("utf-8", "backslashreplace")
    shown = text if text.isprintable() else payload[:_TEXT_BYTES_MAX].hex(" ")
    rest = len(payload) - _TEXT_BYTES_MAX
    return f"'{shown}'" + (f" and {rest} bytes more" if rest > 0 else "")


def place_of(member: gossip.Member) -> str:
    if member.tags:
        meta = ", " + " ".join(f"{tag}={text}" for tag, text in sorted(member.tags.items()))
    else:
        meta = f", meta {text_of(member.meta)}" if member.meta else ""
    return f"{member.name} at {member.address}{meta}"


def event_to_line(event: gossip.Event) -> str:
    """An event as one line, verb first."""
    return printable(_line(event))


def _line(event: gossip.Event) -> str:
    match event:
        case gossip.MembersSnapshot(members):
            rows = ", ".join(f"{member.name} ({member.status})" for member in members)
            return f"members    {len(members)}: {rows}"
        case gossip.EventsLost(count):
            return f"lost       {count} events; what follows is the present state"
        case gossip.MemberJoined(member):
            return f"joined     {place_of(member)}"
        case gossip.MemberUpdated(member):
            return f"updated    {place_of(member)}"
        case gossip.MemberSuspected(member, by):
            return f"suspected  {member.name}, by {by}"
        case gossip.SuspicionConfirmed(member, by):
            return f"confirmed  {member.name}'s suspicion, by {by}"
        case gossip.MemberRefuted(member):
            return f"refuted    {member.name} is alive (incarnation {member.incarnation})"
        case gossip.MemberFailed(member, by, confirmations, suspect_for):
            spent = f"{suspect_for:.1f} s suspect, {confirmations} confirmations"
            return f"failed     {member.name}, by {by} ({spent})"
        case gossip.MemberLeft(member):
            return f"left       {member.name}"
        case gossip.MemberReaped(member):
            return f"reaped     {member.name}"
        case gossip.UserEvent(name, payload, ltime):
            return f"event      {name} {text_of(payload)} (time {ltime})"
        case gossip.QueryReceived(name, payload, ltime, source):
            return f"query      {name} {text_of(payload)} from {source} (time {ltime})"
        case gossip.NameConflict(existing, address):
            return f"conflict   {address} uses the name of {existing.name} at {existing.address}"
        case gossip.PartitionHealed(lost, regained):
            missing = ", ".join(sorted(set(lost) - set(regained))) or "none"
            return f"healed     {', '.join(regained)}; still lost: {missing}"
        case gossip.MessageReceived(payload, source, reliable):
            way = "stream" if reliable else "packet"
            return f"message    {text_of(payload)} ({way} from {source or 'unknown'})"
        case gossip.StateReceived(payload, join):
            return f"state      {len(payload)} bytes{' with a join' if join else ''}"
        case gossip.LoopLagged(seconds):
            return f"lagged     the event loop was {seconds:.2f} s late"
        case gossip.PingCompleted(member, rtt):
            return f"pinged     {member.name} in {rtt * 1000:.1f} ms"
