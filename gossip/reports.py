"""What calls report back: the outcome of a join, the counters of a node. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gossip.members import Address


@dataclass(frozen=True, slots=True)
class Contact:
    """One address of a seed; `error` is None when the exchange with it succeeded.

    itself: the address is this node's own, so it was not called.
    """

    address: Address
    error: str | None = None
    itself: bool = False

    @property
    def reached(self) -> bool:
        return self.error is None and not self.itself

    def __str__(self) -> str:
        if self.itself:
            return f"{self.address}: this node itself"
        return f"{self.address}: {self.error or 'reached'}"


@dataclass(frozen=True, slots=True)
class SeedReport:
    """One seed as it was given: the addresses it stands for, or `error` when it stands for none."""

    seed: str
    contacts: tuple[Contact, ...] = ()
    error: str | None = None

    def __str__(self) -> str:
        if self.error is not None:
            return f"{self.seed}: {self.error}"
        said = "; ".join(str(contact) for contact in self.contacts)
        return said if said.startswith(f"{self.seed}: ") else f"{self.seed}: {said}"


@dataclass(frozen=True, slots=True)
class JoinReport:
    """The outcome of one join, seed by seed; `str()` gives a line for each."""

    seeds: tuple[SeedReport, ...]

    @property
    def reached(self) -> int:
        """How many addresses of other nodes were reached."""
        return sum(contact.reached for seed in self.seeds for contact in seed.contacts)

    @property
    def failed(self) -> tuple[SeedReport, ...]:
        """The seeds of which something failed: the name, or at least one address."""
        return tuple(
            seed
            for seed in self.seeds
            if seed.error is not None or any(contact.error for contact in seed.contacts)
        )

    def __str__(self) -> str:
        return "\n".join(f"  {seed}" for seed in self.seeds) or "  no seeds were given"


@dataclass(frozen=True, slots=True)
class QueryAck:
    """A node got a query; only of queries that ask for it."""

    node: str


@dataclass(frozen=True, slots=True)
class QueryResponse:
    """What a node answered to a query."""

    node: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class KeyReport:
    """What came of a key query (Serf §12), node by node.

    nodes: how many members were asked: those alive or suspect when it began.
    answered: who answered in time.
    errors: what went wrong, by node. notes: what nodes said beside their success, such as that
      their list of keys was too long for one answer.
    keys: for `list` how many nodes hold each key, as base64 text. primary_keys: how many nodes
      seal with it.
    """

    nodes: int
    answered: frozenset[str]
    errors: Mapping[str, str]
    notes: Mapping[str, str]
    keys: Mapping[str, int]
    primary_keys: Mapping[str, int]

    @property
    def error(self) -> str | None:
        """Serf's summary of what is wrong; None when every node did as it was asked."""
        if self.errors:
            return f"{len(self.errors)}/{self.nodes} nodes reported failure"
        if len(self.answered) < self.nodes:
            return f"{len(self.answered)}/{self.nodes} nodes reported success"
        return None

    def __str__(self) -> str:
        said = [f"  {node}: {text}" for node, text in {**self.errors, **self.notes}.items()]
        first = self.error or f"{self.nodes}/{self.nodes} nodes reported success"
        return "\n".join([first, *said])


@dataclass(frozen=True, slots=True)
class Stats:
    """Counters of one node since it started, and a few present values.

    members: rows of the member table by status (alive, suspect, failed, left), this node included.
    health_score: 0 is healthy; each step lengthens this node's probe interval (protocol §17).
    encrypted: whether packets are sealed.
    aead: what seals and opens: `evp:ssl` or `evp:system`, an OpenSSL called without the GIL, the
      interpreter's own or the system's; or `cryptography`, with the GIL. None without a key.
    packets_received, packets_sent, bytes_received, bytes_sent: UDP, as handed over by the system.
    dropped: datagrams and parts of datagrams that were not used, by reason.
    send_errors: datagrams the system refused to send, by the name of the error (`EPERM`).
    receive_errors: failed reads of the UDP socket.
    packets_lost_in_kernel: datagrams that came while the receive buffer was full.
    receive_buffer: bytes of receive buffer the system granted.
    log_lines_suppressed: lines not written because their kind came too often.
    streams_cut_off: streams that ended before their peers had read what was written to them: they
      were too slow, or too many.
    seed_calls: calls of seeds at whose address no member was up, after the start (`heal_interval`).
    loop_lag_seconds: the most that the event loop was late within the last minute; it is looked at
      every 0.25 s.
    app_stalls: how often the node stopped answering because the loop stood still for longer than
      `app_stall_timeout`; with the thread driver only.
    core: every counter of the state machine by name, for those that have no field of their own.
    serf: the counters of Serf's layer by name; empty for a `Memberlist`.
    """

    members: Mapping[str, int]
    health_score: int
    encrypted: bool
    aead: str | None
    packets_received: int
    packets_sent: int
    bytes_received: int
    bytes_sent: int
    dropped: Mapping[str, int]
    send_errors: Mapping[str, int]
    receive_errors: int
    packets_lost_in_kernel: int
    receive_buffer: int
    log_lines_suppressed: int
    streams_cut_off: int
    seed_calls: int
    loop_lag_seconds: float
    app_stalls: int
    core: Mapping[str, int]
    serf: Mapping[str, int]
