"""The typed face of the core. What it means stands in the files of `core/`."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, Self, final

from typing_extensions import disjoint_base

# bugs of a build for tests

PLANTED_BUGS: tuple[str, ...]

def plant(bug: str) -> None:
    """Has all cores of this process one of `PLANTED_BUGS` from now on, "" for none. RuntimeError
    in a build without them, as every build is but one with GOSSIP_PLANTED=1."""

# codec

class _AEAD(Protocol):
    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...
    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...

@disjoint_base
class Cipher:
    """One key for one core, used without the GIL; `_evp` derives from it."""

@disjoint_base
class NonceSource:
    """Nonces without the GIL; `_evp` derives from it."""

DROP_REASON_NAMES: tuple[str, ...]
TYPE_NAMES: dict[int, str]
ERROR_TEXTS: dict[int, str]

@final
class Envelope:
    def __init__(
        self,
        *,
        keys: Iterable[bytes | Cipher | _AEAD] = (),
        label: bytes = b"",
        refill: NonceSource | Callable[[int], bytes] | None = None,
        seal_version: int = 1,
        compression: bool = False,
        verify_incoming: bool = True,
        verify_outgoing: bool = True,
        skip_inbound_label_check: bool = False,
        refuse_replays: bool = False,
    ) -> None: ...
    def decode(self, data: bytes) -> dict[str, Any]: ...
    def encode(self, message: bytes, *, crc: bool = False) -> bytes: ...
    def overhead(self, *, gossip: bool) -> int: ...

def decode_packet(
    data: bytes, *, keys: Iterable[bytes | Cipher | _AEAD] = (), label: bytes = b""
) -> dict[str, Any]: ...
def encode_message(name: str, body: dict[str, Any]) -> bytes: ...
def lzw_compress(data: bytes) -> bytes: ...
def lzw_decompress(data: bytes, *, limit: int = 41943040) -> bytes: ...
def pack(value: object) -> bytes:
    """A value in the msgpack dialect of the wire: raw strings, short numbers, 8-byte floats."""

SERF_TYPE_NAMES: dict[int, str]

def decode_serf(data: bytes) -> dict[str, Any]: ...
def encode_serf(name: str, body: dict[str, Any]) -> bytes: ...

RESULT_NAMES: dict[int, str]

@final
class StreamReader:
    def __new__(cls, envelope: Envelope, *, reply: bool = False, limit: int = 0) -> Self: ...
    def feed(self, data: bytes) -> str: ...
    def end(self) -> str: ...
    def decoded(self) -> dict[str, Any]: ...
    @property
    def reply_error(self) -> str | None: ...

def encode_stream(envelope: Envelope, message: bytes, *, reply: bool = False) -> bytes: ...
def decode_stream(
    data: bytes,
    *,
    keys: Iterable[bytes | Cipher | _AEAD] = (),
    label: bytes = b"",
    reply: bool = False,
) -> dict[str, Any]: ...

# state

CLAIM_NAMES: dict[str, int]
MEMBER_ROW_BYTES: int
RELATION_NAMES: dict[str, int]
STATE_NAMES: dict[str, int]
VERDICT_NAMES: tuple[str, ...]

def hash_name(seed: int, name: bytes) -> int: ...
def push_pull_scale_ns(interval_ns: int, n: int) -> int: ...
def retransmit_limit(mult: int, n: int) -> int: ...
def suspicion_k(mult: int, n: int) -> int: ...
def suspicion_min_ns(mult: int, n: int, interval_ns: int) -> int: ...
def suspicion_remaining_ns(
    k: int, confirmations: int, elapsed_ns: int, min_ns: int, max_ns: int
) -> int: ...
def suspicion_timeout_ns(k: int, confirmations: int, min_ns: int, max_ns: int) -> int: ...
def verdict(
    claim: str,
    state: str,
    relation: str,
    *,
    is_self: bool = False,
    own: bool = False,
    same_address: bool = True,
    reclaim_elapsed: bool = False,
    same_content: bool = True,
    graceful: bool = False,
    leaving: bool = False,
    has_suspicion: bool = False,
) -> str: ...

@final
class Awareness:
    def __new__(cls, limit: int) -> Self: ...
    def apply(self, delta: int) -> int: ...
    def scale(self, duration_ns: int) -> int: ...

@final
class BroadcastQueue:
    def __new__(cls, max_length: int = 1400, seed: int = 0) -> Self: ...
    def __len__(self) -> int: ...
    def add(self, payload: bytes, name: bytes = b"", *, kind: int = 0, notify: int = 0) -> bool: ...
    def fill(self, overhead: int, limit: int, transmit_limit: int, packets: int) -> int: ...
    def finished(self) -> list[int]: ...
    def prune(self, k: int) -> None: ...
    def take(self, overhead: int, limit: int, transmit_limit: int) -> list[bytes]: ...

@final
class Identities:
    def __new__(cls, seed: int = 0) -> Self: ...
    def __len__(self) -> int: ...
    @property
    def nbytes(self) -> int: ...

@final
class LamportClock:
    def __new__(cls, time: int = 0) -> Self: ...
    def increment(self) -> int: ...
    def time(self) -> int: ...
    def witness(self, seen: int) -> bool: ...

@final
class MemberTable:
    def __new__(cls, identities: Identities, seed: int = 0) -> Self: ...
    def __len__(self) -> int: ...
    def add(
        self,
        name: bytes,
        *,
        addr: bytes = ...,
        port: int = 7946,
        meta: bytes = b"",
        vsn: bytes = ...,
        state: int = 0,
        now: int = 0,
        flags: int = 0,
    ) -> int: ...
    def choose(self, k: int, states: int = 1) -> list[int]: ...
    def counts(self) -> list[int]: ...
    def find(self, name: bytes) -> int | None: ...
    def find_members(self, rounds: int) -> int: ...
    def order(self) -> list[int]: ...
    def promote(self, row: int, state: int, now: int) -> None: ...
    def remove(self, row: int) -> None: ...
    def turn(self, at: int, now: int, gossip_to_the_dead_ns: int) -> int | None: ...
    def row(self, row: int) -> tuple[bytes, bytes, int, bytes, bytes, int, int]: ...
    def set_identity(
        self, row: int, name: bytes, addr: bytes, port: int, meta: bytes, vsn: bytes
    ) -> None: ...
    def set_state(self, row: int, state: int, now: int) -> None: ...

@final
class Rng:
    def __new__(cls, seed: int) -> Self: ...
    def below(self, n: int) -> int: ...
    def u64(self) -> int: ...

@final
class Suspicions:
    def __len__(self) -> int: ...
    def accuser(self, index: int) -> bytes: ...
    def confirm(self, index: int, from_: bytes, now: int) -> tuple[bool, int]: ...
    def deadline(self, index: int) -> int: ...
    def end(self, index: int) -> None: ...
    def row(self, index: int) -> int: ...
    def start(self, row: int, k: int, min_ns: int, max_ns: int, from_: bytes, now: int) -> int: ...

@final
class TimerHeap:
    def __len__(self) -> int: ...
    def arm(self, kind: int, ref: int, deadline: int) -> int: ...
    def cancel(self, handle: int) -> None: ...
    def next(self) -> tuple[int, int]: ...
    def pop_due(self, now: int) -> tuple[int, int, int, int] | None: ...
    def rearm(self, handle: int, deadline: int) -> None: ...

# swim

STAT_NAMES: tuple[str, ...]

_Member = tuple[bytes, bytes, int, bytes, bytes, int, int, int]
"""Name, address (4 or 16 bytes), port, metadata, six version bytes, state (0 alive, 1 suspect,
2 dead, 3 left, 4 waits for accept_member, 5 refused by it), incarnation, time of the last change of
state in ns."""

@final
class Scratch:
    """The memory a core needs only while it is entered: a megabyte and more. Cores of one thread
    may share one, if what they want sent is taken after each entry."""

@final
class Swim:
    """The state machine of one node, without a socket, clock or lock.

    In: datagrams, stream bytes, the time, requests. Out: datagrams, stream commands, events, the
    next deadline. Every `now` is nanoseconds of any clock that never goes back. A request returns a
    number; its answer is the event `("done", number, error or None, value)`.

    `settings` maps every Config field to an integer, durations in ns with the suffix `_ns`; a
    simulator may add what memberlist fixes (`_TRIALS` in core/making.pxi). The
    same settings, seed and inputs give the same outputs. An argument out of range is a ValueError;
    a call before `start` or after `shutdown` a RuntimeError. `bind_port`, where it is not `port`,
    stands for a port of 0 in what peers claim (protocol §4.6).
    """

    def __new__(
        cls,
        settings: Mapping[str, int],
        *,
        name: bytes,
        address: bytes,
        port: int,
        bind_port: int = 0,
        meta: bytes = b"",
        label: bytes = b"",
        cidrs: Sequence[tuple[bytes, int]] | None = None,
        seed: int,
        identities: Identities | None = None,
        scratch: Scratch | None = None,
    ) -> Self: ...
    def share(self) -> None:
        """Has every entry take a lock from now on: a thread of its own is to enter as well. Raises
        ValueError for a core that was handed `identities` or `scratch`: the lock would not guard
        them."""

    def start(self, now: int, clock: int = 0) -> None:
        """Enters its own row and starts the timers (protocol §16, §20).

        `clock`: Unix seconds of the wall clock now; 0: there is none. The first incarnation is that
        time since 2025, so that it is above all of a former run, and what is believed of
        incarnations is bounded by it. A clock that is wrong, or goes back, keeps nobody out.
        """

    def shutdown(self) -> None:
        """Takes nothing in any more; sends nothing (protocol §21)."""

    def receive(self, packets: Iterable[tuple[bytes, bytes, int]], now: int) -> None:
        """Datagrams as (bytes, source address, source port). Bad ones are counted, never raised."""

    def tick(self, now: int) -> None:
        """Fires the timers that are due. Early and late calls are fine."""

    def next_deadline(self) -> tuple[int, str] | None:
        """When `tick` has something to do next, and which timer that is; at once, and "work", while
        slices of a large push/pull wait."""

    def send_failed(self, ip: bytes, port: int, error: int, now: int) -> None:
        """The kernel refused a datagram to that address with that errno (protocol §16)."""

    def transmits(self) -> list[tuple[bytes, bytes, int]]:
        """Takes the datagrams that wait, as (bytes, destination address, port)."""

    @property
    def waiting(self) -> bool:
        """Whether events or stream commands wait to be taken."""

    def events(self, at_most: int = ...) -> list[tuple[Any, ...]]:
        """Takes the events that wait, oldest first, or so many of them.

        ("joined" | "updated" | "refuted" | "left" | "asked", member),
        ("suspected" | "confirmed", member, by),
        ("failed", member, by, confirmations, ns under suspicion),
        ("conflict", member, other address, other port, other metadata),
        ("message", payload, source address or None, port, reliable), ("state", payload, join),
        ("pinged", member, round trip ns, payload), ("done", request, error, value),
        ("healed", all lost names, those that are back), ("pushed", the incarnation of ours that a
        peer claims, our own, whether it was refused), ("lost", count).
        """

    def commands(self) -> list[tuple[Any, ...]]:
        """Takes what is to be done with streams: ("open", stream, address, port),
        ("write", stream, bytes), ("close", stream), the last one after all bytes are written."""

    def accept_stream(self, ip: bytes, port: int, now: int) -> int:
        """A peer has connected; the number of the stream, or -1 when it is to be refused."""

    def stream_opened(self, stream: int, now: int) -> None:
        """The connection that was commanded stands."""

    def stream_received(self, stream: int, data: bytes, now: int) -> None:
        """Bytes came in, in pieces of any size. Streams that have ended are ignored."""

    def stream_ended(self, stream: int, now: int) -> None:
        """The peer sends no more."""

    def stream_failed(self, stream: int, text: str, now: int) -> None:
        """The connection could not be made, or broke; the text goes into the request's error."""

    def join(self, ip: bytes, port: int, node_name: bytes, now: int) -> int:
        """Exchanges the whole state with the node at that address (protocol §10.3)."""

    def leave(self, now: int) -> int:
        """Says goodbye; answered when the word has been spread (protocol §21)."""

    def update_meta(self, meta: bytes, now: int) -> int:
        """New metadata, up to 512 bytes; answered when it has been spread (protocol §21)."""

    def ping(self, name: bytes, now: int) -> int:
        """Pings a member; the value of the answer is the round trip in ns."""

    def send(self, name: bytes, payload: bytes, reliable: bool, now: int) -> int:
        """A message for one member: in one datagram, or over a stream."""

    def broadcast(self, payload: bytes, name: bytes = b"") -> None:
        """A message for all, best effort; a later one of the same name takes its place."""

    def admit(self, name: bytes, allowed: bool, now: int) -> None:
        """The answer to an "asked" event; ignored for a name that does not wait."""

    @property
    def needs_gil(self) -> bool:
        """Whether a packet calls Python: when a cipher or the nonces are Python's."""

    def set_keys(
        self, aeads: Sequence[Cipher | _AEAD], refill: NonceSource | Callable[[int], bytes]
    ) -> None:
        """The key ring, primary first, and a source of random bytes for nonces (protocol §9)."""

    def reset_nonces(self) -> None:
        """Forgets the nonces drawn ahead; a forked child must not repeat its parent's."""

    def set_local_state(self, state: bytes) -> None:
        """The user state of every push/pull from now on, up to 20 MiB."""

    def set_ack_payload(self, payload: bytes | None) -> None:
        """What rides on the acks of direct pings (protocol §23)."""

    def members(self) -> list[_Member]:
        """All rows, this node's own, dead and left ones included. With 100,000 of them this takes
        its time: it is not done in slices."""

    def member(self, name: bytes) -> _Member | None:
        """One row, or None."""

    def stats(self) -> dict[str, int]:
        """Counters and gauges; `dropped_...` count what was not used, by reason."""

    def up_at(self, ip: bytes, port: int, at: int = 0) -> tuple[bool, int]:
        """Whether a member that is up has that address, as far as some rows tell, from `at` on; and
        where to go on, 0 when all were seen."""

    @property
    def broadcast_limit(self) -> int:
        """The largest payload of `broadcast` in bytes."""

    @property
    def member_count(self) -> int: ...
    @property
    def health_score(self) -> int:
        """Lifeguard's local health, 0 is best (protocol §17)."""

    @property
    def incarnation(self) -> int: ...

# serf

SERF_STAT_NAMES: tuple[str, ...]

_SerfMember = tuple[bytes, bytes, int, bytes, bytes, int, int, int]
"""Name, address (4 or 16 bytes), port, metadata, six version bytes, status (0 none, 1 alive,
2 leaving, 3 left, 4 failed), Lamport time of the status, when it failed or left in ns (0: it did
not)."""

@final
class Serf:
    """The Serf layer of a core: statuses, user events, queries. One a core, before its start.

    What comes in and goes out does so through the Swim, its events too:

    ("member_join" | "member_leave" | "member_failed" | "member_update" | "member_reap"
    | "member_flapped", member), this node itself included,
    ("user_event", Lamport time, name, payload or None, may be coalesced),
    ("query", handle, Lamport time, id, name, payload or None, asker, its address, its port, flags,
    deadline ns), ("filter", handle, [(tag, expression)], deadline ns),
    ("query_ack", id, from), ("query_response", id, from, payload or None),
    ("query_done", id, ended early), ("queue_deep", "intents" | "queries" | "events", length).

    User messages whose first byte is 10 or more are none of Serf's, and come as "message".
    """

    def __new__(cls, swim: Swim, settings: Mapping[str, int]) -> Self: ...
    def event(self, name: bytes, payload: bytes | None, coalesce: bool, now: int) -> int:
        """Sends a user event to all; gives its Lamport time. ValueError when it is too long
        (Serf §10)."""

    def query(
        self,
        name: bytes,
        payload: bytes | None,
        now: int,
        *,
        nodes: Sequence[bytes] = (),
        tags: Sequence[tuple[bytes, bytes]] = (),
        ack: bool = False,
        no_broadcast: bool = False,
        relay_factor: int = 0,
        timeout_ns: int = 0,
        awaited: Sequence[bytes] | None = None,
        acks_answer: bool = False,
    ) -> tuple[int, int, int]:
        """Asks all members that match; gives the id, the Lamport time and the deadline in ns.

        It ends early when all of `awaited` have answered or gone: by default those of `nodes`, or
        every member. With `acks_answer` an ack is an answer. ValueError when it is too long,
        RuntimeError when too many are under way (Serf §11).
        """

    def cancel_query(self, id: int) -> None:
        """No more events about a query of ours."""

    def accept_query(self, handle: int, matches: bool, now: int) -> None:
        """The verdict on the tag filters of a "filter" event."""

    def respond(self, handle: int, payload: bytes | None, now: int) -> None:
        """Answers a query, once. ValueError: too long; RuntimeError: answered, or too late."""

    def ignore(self, handle: int) -> None:
        """This node will not answer the query; if it is its own, it does not wait for itself."""

    def joining(self, ignore_old: bool, now: int) -> None:
        """The push/pulls of one Join are about to begin; with `ignore_old` they bring no user
        events from before. RuntimeError after a leave."""

    def joined(self, ignore_old: bool, contacted: int, now: int) -> None:
        """They are over; if somebody was reached, this node says that it is there."""

    def leave(self, now: int) -> int:
        """Leaves the pool as Serf does (Serf §8); answered when all of it is over."""

    def force_leave(self, name: bytes, prune: bool, now: int) -> int:
        """Says of a failed member that it has left; `prune` also forgets it."""

    def restore(self, clock: int, event_clock: int, query_clock: int) -> None:
        """The clocks of a snapshot, before the start; what is older is not told again."""

    def clocks(self) -> tuple[int, int, int]:
        """The Lamport times of members, events and queries."""

    @property
    def state(self) -> str:
        """`alive`, `leaving` or `left`."""

    def members(self) -> list[_SerfMember]:
        """All members, the failed and the left included. Not done in slices."""

    def member(self, name: bytes) -> _SerfMember | None: ...
    def recent_intent(self, name: bytes) -> tuple[str, int] | None:
        """What was said about a name that is no member yet, and its Lamport time."""

    def set_reconnect_timeout(self, name: bytes, timeout_ns: int | None) -> None:
        """How long this member is kept when it fails or leaves; None: as the settings say."""

    def query_timeout_ns(self) -> int:
        """How long a query waits now by default (Serf §11.1)."""

    @property
    def alive_count(self) -> int:
        """Alive and suspect members, this node included."""

    def stats(self) -> dict[str, int]:
        """Counters and gauges of the layer; what it drops is counted in `Swim.stats`."""
