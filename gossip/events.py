"""What a node tells its user: facts, in the past tense, about one member each.

Every event is a frozen dataclass, made for `match`. `MembersSnapshot` and `EventsLost` tell a
consumer where it stands, `LoopLagged` is about the application; the others are what happened. How
they are delivered, and which of them can be merged or lost when a consumer is slow, is said in
`gossip.Subscription`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from gossip.members import Address, Member


@dataclass(frozen=True, slots=True)
class MembersSnapshot:
    """All members at one moment, this node included; the first item of every subscription."""

    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class EventsLost:
    """This consumer was too slow: `count` events were dropped. A `MembersSnapshot` follows."""

    count: int


@dataclass(frozen=True, slots=True)
class MemberJoined:
    """A member is alive that was not in the table, or had failed or left."""

    member: Member


@dataclass(frozen=True, slots=True)
class MemberUpdated:
    """A living member changed its metadata, its versions or its address."""

    member: Member


@dataclass(frozen=True, slots=True)
class MemberSuspected:
    """A member may have failed: `by` is the name of the first node that said so."""

    member: Member
    by: str


@dataclass(frozen=True, slots=True)
class SuspicionConfirmed:
    """One more node, `by`, suspects a suspected member; that lets it fail sooner (protocol §18)."""

    member: Member
    by: str


@dataclass(frozen=True, slots=True)
class MemberRefuted:
    """A suspected member proved that it lives."""

    member: Member


@dataclass(frozen=True, slots=True)
class MemberFailed:
    """A member is held to have failed.

    by: the node that first suspected it, or that announced the failure.
    confirmations: how many other nodes confirmed the suspicion here.
    suspect_for: seconds between the suspicion and the failure; 0 if it was announced by a peer.
    """

    member: Member
    by: str
    confirmations: int
    suspect_for: float


@dataclass(frozen=True, slots=True)
class MemberLeft:
    """A member left of its own will."""

    member: Member


@dataclass(frozen=True, slots=True)
class MemberReaped:
    """A member that had failed or left long ago, or was pruned, was erased; only of a `Node`."""

    member: Member


@dataclass(frozen=True, slots=True)
class NameConflict:
    """Another node uses a name that is taken: two processes were given the same one.

    existing: the member that holds the name (it may be this node itself).
    address: where the other node is; it is not taken into the table.
    Reported once a minute at most for each name and other address.
    """

    existing: Member
    address: Address
    meta: bytes


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A user message. The sender is not named by the wire: `source` is the packet's source.

    reliable: it came over TCP. `source` is None when it came wrapped so that nothing tells it.
    """

    payload: bytes
    source: Address | None
    reliable: bool


@dataclass(frozen=True, slots=True)
class StateReceived:
    """A peer's application state came with a push/pull (protocol §10.3); `join`: with a join."""

    payload: bytes
    join: bool


@dataclass(frozen=True, slots=True)
class LoopLagged:
    """This node's own event loop came `seconds` late, more than `loop_lag_bound`.

    Something held it, or the interpreter, or the machine. Of several that wait the newest is kept.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class PingCompleted:
    """A member answered a direct probe after `rtt` seconds; only with `report_pings=True`."""

    member: Member
    rtt: float
    payload: bytes


@dataclass(frozen=True, slots=True)
class PartitionHealed:
    """Members that had failed are alive again: a partition has ended, or one of them was restarted.

    lost: the names of all that had failed and were not given up (`heal_time`), sorted.
    regained: those of them that are back, sorted; the others are still called.
    Told at once when all are back, else when for ten probe intervals no further one came back.
    """

    lost: tuple[str, ...]
    regained: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UserEvent:
    """Somebody told all nodes something (Serf §10); only of a `Node`, its own events included.

    ltime: the Lamport time of the event: one that was sent knowing of another has a higher one.
    coalesce: the sender allows newer events of this name to take its place.
    """

    name: str
    payload: bytes
    ltime: int
    coalesce: bool


@dataclass(frozen=True, slots=True)
class QueryReceived:
    """Somebody asks (Serf §11); only of a `Node`, its own queries included.

    source: the name of the node that asks. deadline: until when an answer counts, in seconds of
    the monotonic clock of this process.
    """

    name: str
    payload: bytes
    ltime: int
    source: str
    deadline: float
    answer: Callable[[bytes], None] = field(repr=False, compare=False)

    def respond(self, payload: bytes) -> None:
        """Answers, once and before the deadline.

        Raises ArgumentError when the answer is too long (a shorter one may follow), StateError
        when it was given already or comes too late.
        """
        self.answer(payload)


Event: TypeAlias = (
    MembersSnapshot
    | EventsLost
    | MemberJoined
    | MemberUpdated
    | MemberSuspected
    | SuspicionConfirmed
    | MemberRefuted
    | MemberFailed
    | MemberLeft
    | MemberReaped
    | NameConflict
    | MessageReceived
    | StateReceived
    | LoopLagged
    | PingCompleted
    | PartitionHealed
    | UserEvent
    | QueryReceived
)
