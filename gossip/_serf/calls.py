"""The arguments of a Serf node's calls, checked before the core is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gossip._checks import checked_name, checked_payload
from gossip._serf.filters import check_patterns
from gossip.errors import ArgumentError, StateError
from gossip.members import encode_name

INTERNAL = "_serf_"
"""How the names of Serf's own queries begin."""

PING = "_serf_ping"
QUERIES_SINCE = 4
"""The Serf protocol since which there are queries."""


@dataclass(frozen=True, slots=True)
class QueryCall:
    """What a query asks, and whom; `acks_answer`: that a member got it is its answer."""

    name: str
    payload: bytes | None
    nodes: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    ack: bool = False
    relay_factor: int = 0
    timeout: float | None = None
    acks_answer: bool = False


def checked_text(name: str, what: str) -> str:
    """A name of an event or a query."""
    try:
        if isinstance(name, str) and encode_name(name):
            return name
    except UnicodeEncodeError:
        pass
    raise ArgumentError(f"the name of {what} is a text of at least one letter, not {name!r}")


def checked_query(
    name: str,
    payload: bytes,
    nodes: Sequence[str],
    tags: Mapping[str, str] | None,
    ack: bool,
    relay_factor: int,
    timeout: float | None,
    serf_protocol: int,
) -> QueryCall:
    """A query of a user. Raises ArgumentError, and StateError where this protocol has none."""
    data = checked_payload(payload)
    ping = name == PING and not data
    if checked_text(name, "a query").startswith(INTERNAL) and not ping:
        raise ArgumentError(f"Queries cannot contain the '{INTERNAL}' prefix")
    if serf_protocol < QUERIES_SINCE:
        raise StateError("Feature not supported: queries need delegate_protocol_version 4")
    if timeout is not None and not 0 < timeout <= 86400:
        raise ArgumentError(f"the timeout of a query is up to 86400 s, not {timeout!r}")
    if isinstance(nodes, str):
        raise ArgumentError(f"nodes is a list of names; write nodes=[{nodes!r}]")
    check_patterns(tags or {})
    return QueryCall(
        name,
        None if ping else data,
        tuple(checked_name(node) for node in nodes),
        tags or {},
        ack or ping,
        relay_factor,
        timeout,
        acks_answer=ping,
    )
