"""Serf's layer of one node, between the core and the user; without I/O and without a clock.

What must go on while the interpreter is busy is done in the core; here its events become those of
the user, and what needs Python is decided: tags, patterns, coordinates. Who runs the core derives
from `Layer`: `gossip._io.serf` on an event loop, `gossip.sim.serf` in virtual time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Generic, Protocol, TypeVar

from gossip._core import Rng, Serf, Swim
from gossip._serf.calls import INTERNAL, QueryCall, checked_text
from gossip._serf.coalescer import Clock, Coalescer
from gossip._serf.coordinates import Coordinate, Places, encode_ping_payload
from gossip._serf.filters import Patterns
from gossip._serf.tags import decode_tags, encode_tags
from gossip._translate import STATES, MemberRow, member_of
from gossip.errors import ArgumentError, ConfigError, StateError
from gossip.events import (
    Event,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberReaped,
    MemberUpdated,
    MessageReceived,
    QueryReceived,
    UserEvent,
)
from gossip.members import Address, Member, Status, decode_name, encode_name
from gossip.node_config import NodeConfig
from gossip.reports import QueryAck, QueryResponse

SerfRow = tuple[bytes, bytes, int, bytes, bytes, int, int, int]
"""Name, address, port, metadata, versions, status, Lamport time of the status, when it left."""

MESSAGE = b"\xf0"
"""The first byte of messages between `Node`s; Serf's own begin with 0 to 9."""

_STATUSES = (Status.ALIVE, Status.ALIVE, Status.LEAVING, Status.LEFT, Status.FAILED)

Q = TypeVar("Q")
Asked = TypeVar("Asked", covariant=True)


class Queries(Protocol[Asked]):
    """The queries under way by their numbers; `begin` gives what the user holds of one."""

    def begin(self, name: str, number: int, ltime: int, deadline: float, members: int) -> Asked: ...
    def put(self, number: int, answer: QueryAck | QueryResponse) -> None: ...
    def end(self, number: int, *, early: bool) -> None: ...


class Layer(ABC, Generic[Q]):
    """Serf's layer of one node. `attach_core` comes before the core starts."""

    core: Swim
    serf: Serf

    def __init__(self, name: str, config: NodeConfig, seed: int, queries: Queries[Q]) -> None:
        """Raises ConfigError when the tags do not fit."""
        self.name = name
        self.config = config
        self.patterns = Patterns()
        self.places = Places(Rng(seed).u64)
        self.queries = queries
        self.flapped = 0
        self.messages_unknown = 0
        try:
            self.tags = dict(config.tags)
            self.meta = encode_tags(self.tags, config.delegate_protocol_version)
        except ArgumentError as error:
            raise ConfigError({"tags": str(error)}) from None
        self._failure: tuple[bytes, str, int, float] = (b"", "", 0, 0.0)

    def attach_core(self, core: Swim, clock: Clock) -> None:
        """The core is made and does not run yet."""
        self.core = core
        self.serf = Serf(core, self.config.serf_settings())
        self.coalescer = Coalescer(self.config, clock, self.publish)
        self._tell_place()

    # What whoever runs the core does.

    @abstractmethod
    def now(self) -> int:
        """The core's clock, in ns."""

    @abstractmethod
    def check(self) -> None:
        """Raises StateError when the node cannot be called."""

    @abstractmethod
    def entered(self) -> None:
        """The core was called: what it wants is to be done."""

    @abstractmethod
    def entered_amid(self) -> None:
        """The same, called while the core's events are taken."""

    @abstractmethod
    def publish(self, event: Event) -> None:
        """An event for the user."""

    @abstractmethod
    def listens(self) -> bool:
        """Whether somebody hears of queries."""

    @abstractmethod
    def warn(self, kind: str, text: str, *arguments: object) -> None:
        """A line for the operator."""

    @abstractmethod
    def answer_internal(
        self, handle: int, ltime: int, number: int, name: str, payload: bytes
    ) -> None:
        """An internal query of another node, to be answered or ignored."""

    def recorded(self, event: Event) -> None:
        """Something happened to a member."""

    def recorded_time(self, clock: str, ltime: int) -> None:
        """A Lamport time was seen, of "event-clock" or "query-clock"."""

    def conflicted(self, name: bytes) -> None:
        """Two nodes have that name."""

    # Looking.

    def members(self) -> list[Member]:
        rows = {row[0]: row for row in self.core.members()}
        return [self._member(each, rows.get(each[0])) for each in self.serf.members()]

    def member(self, name: str) -> Member | None:
        found = self.serf.member(encode_name(name))
        return None if found is None else self._seen(found)

    def member_of(self, row: MemberRow) -> Member:
        """A member as memberlist sees it, for the events that Serf has none for."""
        return replace(member_of(row), tags=decode_tags(row[3]))

    def coordinate(self, name: str) -> Coordinate | None:
        """Where this node is, or where a member said it is when it was probed last."""
        return self.places.own.coordinate if name == self.name else self.places.of(name)

    def distance(self, name: str, other: str) -> float | None:
        """The round trip to be expected between two members, in seconds."""
        here, there = self.coordinate(other), self.coordinate(name)
        return None if here is None or there is None else here.distance(there)

    def stats(self) -> dict[str, int]:
        counts = dict(self.serf.stats())
        clock, event_clock, query_clock = self.serf.clocks()
        counts |= {"clock": clock, "event_clock": event_clock, "query_clock": query_clock}
        counts |= {"flapped": self.flapped, "messages_unknown": self.messages_unknown}
        counts["patterns_refused"] = self.patterns.refused
        counts["coordinates_rejected"] = self.places.rejected
        counts["coordinate_resets"] = self.places.own.resets
        return counts

    def _seen(self, found: SerfRow) -> Member:
        return self._member(found, self.core.member(found[0]))

    def _member(self, found: SerfRow, row: MemberRow | None) -> Member:
        """Serf knows the status, memberlist the suspicions and incarnations."""
        name, ip, port, meta, versions, status, _, left_ns = found
        shown, incarnation, since = _STATUSES[status], 0, left_ns
        if row is not None:
            incarnation, since = row[6], row[7]
            if shown is Status.ALIVE and row[5] == STATES[Status.SUSPECT]:
                shown = Status.SUSPECT
        return Member(
            decode_name(name),
            Address.from_bytes(ip, port),
            meta,
            shown,
            incarnation,
            tuple(versions),
            since / 1e9,
            decode_tags(meta),
        )

    # What the core tells.

    def take(self, told: tuple[Any, ...]) -> bool:
        """Whether the event was for Serf's layer; the others are told as those of a memberlist."""
        kind = str(told[0])
        if kind.startswith("member_"):
            self._take_member(kind, told[1])
        elif kind in ("user_event", "query", "filter"):
            self._take_from_peer(kind, told)
        elif kind in ("query_ack", "query_response", "query_done"):
            self._take_answer(told)
        elif kind == "pinged":
            self._take_ping(*told[1:])
            return not self.config.report_pings
        elif kind == "failed":
            _, row, by, confirmations, suspect_ns = told
            self._failure = (row[0], decode_name(by), confirmations, suspect_ns / 1e9)
        elif kind == "queue_deep":
            _, queue, length = told
            self.warn("queue_deep", "%d %s wait to be gossiped", length, queue)
        elif kind == "message":
            self._take_message(*told[1:])
        elif kind == "conflict":
            self.conflicted(told[1][0])
            return False
        else:
            return kind in ("joined", "left", "updated", "state")
        return True

    def _take_member(self, kind: str, found: SerfRow) -> None:
        if kind == "member_flapped":
            self.flapped += 1
            return
        member = self._seen(found)
        event: Event
        match kind:
            case "member_join":
                event = MemberJoined(member)
            case "member_leave":
                event = MemberLeft(member)
            case "member_failed":
                name, by, confirmations, suspect_for = self._failure
                known = name == found[0]
                event = MemberFailed(
                    member,
                    by if known else "",
                    confirmations if known else 0,
                    suspect_for if known else 0.0,
                )
            case "member_update":
                event = MemberUpdated(member)
            case _:
                event = MemberReaped(member)
                self.places.forget(member.name)
        self.recorded(event)
        self.coalescer.member(kind, member.name, event)

    def _take_from_peer(self, kind: str, told: tuple[Any, ...]) -> None:
        if kind == "user_event":
            _, ltime, name, payload, coalesce = told
            self.recorded_time("event-clock", ltime)
            event = UserEvent(decode_name(name), payload or b"", ltime, coalesce)
            self.coalescer.user(event)
        elif kind == "filter":
            _, handle, filters, _deadline = told
            self.serf.accept_query(handle, self._judge(filters), self.now())
            self.entered_amid()
        else:
            self._take_query(*told[1:])

    def _judge(self, filters: list[tuple[bytes, bytes]]) -> bool:
        """Whether a query is for this node; says once that a pattern could not be used."""
        refused = self.patterns.refused
        matches = self.patterns.match(filters, self.tags)
        if refused == 0 < self.patterns.refused:
            text = "a query is not answered: its pattern %s cannot be used; others are counted"
            self.warn("pattern", text, decode_name(filters[0][1]))
        return matches

    def _take_query(
        self,
        handle: int,
        ltime: int,
        number: int,
        name: bytes,
        payload: bytes | None,
        source: bytes,
        *rest: int,
    ) -> None:
        self.recorded_time("query-clock", ltime)
        shown = decode_name(name)
        if shown.startswith(INTERNAL):
            self.answer_internal(handle, ltime, number, shown, payload or b"")
            return
        if not self.listens():
            self.serf.ignore(handle)
            return
        event = QueryReceived(
            shown,
            payload or b"",
            ltime,
            decode_name(source),
            rest[-1] / 1e9,
            lambda answer: self._respond(handle, answer),
        )
        self.publish(event)

    def _respond(self, handle: int, payload: bytes) -> None:
        self.check()
        if not isinstance(payload, bytes | bytearray | memoryview):
            raise ArgumentError(f"an answer is bytes, not {type(payload).__name__}")
        try:
            self.serf.respond(handle, bytes(payload), self.now())
        except ValueError as error:
            raise ArgumentError(str(error)) from None
        except RuntimeError as error:
            raise StateError(str(error)) from None
        self.entered()

    def respond_internal(self, handle: int, payload: bytes) -> None:
        """The answer to an internal query; one that cannot be given is none."""
        try:
            self.serf.respond(handle, payload, self.now())
        except (ValueError, RuntimeError):
            self.serf.ignore(handle)
        self.entered_amid()

    def _take_answer(self, told: tuple[Any, ...]) -> None:
        match told:
            case ("query_ack", number, node):
                self.queries.put(number, QueryAck(decode_name(node)))
            case ("query_response", number, node, payload):
                self.queries.put(number, QueryResponse(decode_name(node), payload or b""))
            case ("query_done", number, early):
                self.queries.end(number, early=early)

    def _take_message(self, payload: bytes, ip: bytes | None, port: int, reliable: bool) -> None:
        if payload[:1] != MESSAGE:
            self.messages_unknown += 1
            return
        source = None if ip is None else Address.from_bytes(ip, port)
        self.publish(MessageReceived(payload[1:], source, reliable))

    def _take_ping(self, row: MemberRow, rtt_ns: int, payload: bytes) -> None:
        if self.config.disable_coordinates:
            return
        if self.places.heard(decode_name(row[0]), payload or b"", rtt_ns / 1e9):
            self._tell_place()

    def _tell_place(self) -> None:
        if not self.config.disable_coordinates:
            self.core.set_ack_payload(encode_ping_payload(self.places.own.coordinate))

    # Calls.

    def joining(self, *, ignore_old: bool) -> None:
        """A join begins; raises StateError after a leave."""
        try:
            self.serf.joining(ignore_old, self.now())
        except RuntimeError as error:
            raise StateError(str(error)) from None

    def joined(self, *, ignore_old: bool, contacted: int) -> None:
        """The join that began is over."""
        self.serf.joined(ignore_old, contacted, self.now())
        self.entered()

    def send_event(self, name: str, payload: bytes, coalesce: bool) -> int:
        """Raises ValueError with the core's words; `entered` is for who calls."""
        text = encode_name(checked_text(name, "an event"))
        return self.serf.event(text, payload, coalesce, self.now())

    def set_tags(self, tags: Mapping[str, str]) -> bytes:
        """The metadata of new tags; raises ArgumentError."""
        meta = encode_tags(tags, self.config.delegate_protocol_version)
        self.tags = dict(tags)
        return meta

    def ask(self, call: QueryCall) -> Q:
        """Sends a query; raises ValueError or RuntimeError with the core's words."""
        awaited = self._matching(call.nodes, call.tags) if call.tags else None
        if awaited is None and not call.nodes:
            members = self.serf.alive_count
        else:
            members = len(call.nodes if awaited is None else awaited)
        number, ltime, deadline_ns = self.serf.query(
            encode_name(call.name),
            call.payload,
            self.now(),
            nodes=[encode_name(node) for node in call.nodes],
            tags=[(encode_name(tag), encode_name(text)) for tag, text in call.tags.items()],
            ack=call.ack,
            relay_factor=call.relay_factor,
            timeout_ns=0 if call.timeout is None else round(call.timeout * 1e9),
            awaited=awaited,
            acks_answer=call.acks_answer,
        )
        query = self.queries.begin(call.name, number, ltime, deadline_ns / 1e9, members)
        self.entered()
        return query

    def _matching(self, nodes: tuple[str, ...], tags: Mapping[str, str]) -> list[bytes]:
        """The living members that a query with these filters is for."""
        filters = [(encode_name(tag), encode_name(text)) for tag, text in tags.items()]
        return [
            row[0]
            for row in self.serf.members()
            if row[5] == 1 and (not nodes or decode_name(row[0]) in nodes)
            if self.patterns.match(filters, decode_tags(row[3]))
        ]
