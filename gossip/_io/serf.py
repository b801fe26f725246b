"""Serf's layer of a running node: between the core and the subscriptions.

What must go on while the interpreter is busy is done in the core; here its events become those of
the user, and what needs Python is decided: tags, patterns, coordinates, keys, the snapshot.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gossip._core import Rng, Serf
from gossip._io.coalescer import Coalescer
from gossip._io.internal import Answers
from gossip._io.queries import Queries, Query
from gossip._io.recorder import Recorder
from gossip._serf import conflict
from gossip._serf.coordinates import Places, encode_ping_payload
from gossip._serf.filters import Patterns
from gossip._serf.snapshot import Replayed
from gossip._serf.tags import decode_tags, encode_tags
from gossip._translate import STATES, MemberRow, member_of, packed
from gossip.errors import ArgumentError, ConfigError, GossipError, StateError
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

if TYPE_CHECKING:
    from gossip._io.driver import Driver

_log = logging.getLogger("gossip")

SerfRow = tuple[bytes, bytes, int, bytes, bytes, int, int, int]
"""Name, address, port, metadata, versions, status, Lamport time of the status, when it left."""

INTERNAL = "_serf_"
MESSAGE = b"\xf0"
"""The first byte of messages between `Node`s; Serf's own begin with 0 to 9."""

_STATUSES = (Status.ALIVE, Status.ALIVE, Status.LEAVING, Status.LEFT, Status.FAILED)


class SerfLayer:
    """Serf's layer of one node. `attach` comes before the core starts, `close` after its end."""

    serf: Serf
    answers: Answers

    def __init__(self, name: str, config: NodeConfig, seed: int) -> None:
        """Raises ConfigError when the tags do not fit, or the snapshot cannot be read."""
        self.name = name
        self.config = config
        self.patterns = Patterns()
        self.places = Places(Rng(seed).u64)
        self.queries = Queries(self._cancel)
        self.flapped = 0
        self.messages_unknown = 0
        self.voting: asyncio.Task[None] | None = None
        self.recorder: Recorder | None = None
        try:
            self.tags = dict(config.tags)
            self.meta = encode_tags(self.tags, config.delegate_protocol_version)
        except ArgumentError as error:
            raise ConfigError({"tags": str(error)}) from None
        self._rng = Rng(seed + 1)
        self._rejoining: asyncio.Task[None] | None = None
        self._failure: tuple[bytes, str, int, float] = (b"", "", 0, 0.0)

    def attach(self, driver: Driver) -> None:
        """The core is made and does not run yet."""
        self._driver = driver
        self.serf = Serf(driver.core, self.config.serf_settings())
        self.answers = Answers(driver, self.serf, self.config)
        self._coalescer = Coalescer(self.config, self._publish)
        if self.config.snapshot_path is not None:
            self.recorder = Recorder(
                Path(self.config.snapshot_path),
                rejoin_after_leave=self.config.rejoin_after_leave,
                clocks=self._record_clock,
                node=self.name,
            )
            before = self.recorder.before
            self.serf.restore(before.clock, before.event_clock, before.query_clock)
        self._tell_place()

    def started(self) -> None:
        """The core runs."""
        if self.recorder is not None:
            self.recorder.start(self._driver.reporter)
            self._rejoining = self._driver.loop.create_task(self._rejoin(self.recorder.before))

    async def close(self) -> None:
        """The core has ended."""
        self._coalescer.close()
        self.queries.end_all()
        if self._rejoining is not None:
            self._rejoining.cancel()
            await asyncio.wait([self._rejoining])
        await self.answers.close()
        if self.recorder is not None:
            await self.recorder.close()

    def forked(self) -> None:
        """In a child process: nothing is written any more."""
        if self.recorder is not None:
            self.recorder.silence()

    # Looking.

    def members(self) -> list[Member]:
        rows = {row[0]: row for row in self._driver.core.members()}
        return [self._member(each, rows.get(each[0])) for each in self.serf.members()]

    def member(self, name: str) -> Member | None:
        found = self.serf.member(encode_name(name))
        return None if found is None else self._seen(found)

    def member_of(self, row: MemberRow) -> Member:
        """A member as memberlist sees it, for the events that Serf has none for."""
        return replace(member_of(row), tags=decode_tags(row[3]))

    def stats(self) -> dict[str, int]:
        counts = dict(self.serf.stats())
        clock, event_clock, query_clock = self.serf.clocks()
        counts |= {"clock": clock, "event_clock": event_clock, "query_clock": query_clock}
        counts |= {"flapped": self.flapped, "messages_unknown": self.messages_unknown}
        counts["patterns_refused"] = self.patterns.refused
        counts["coordinates_rejected"] = self.places.rejected
        counts["coordinate_resets"] = self.places.own.resets
        counts["snapshot_failures"] = 0 if self.recorder is None else self.recorder.failures
        return counts

    def _seen(self, found: SerfRow) -> Member:
        return self._member(found, self._driver.core.member(found[0]))

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
            text, now = "%d %s wait to be gossiped", time.monotonic()
            self._driver.reporter.write(logging.WARNING, "queue_deep", now, text, length, queue)
        elif kind == "message":
            self._take_message(*told[1:])
        elif kind == "conflict":
            self._take_conflict(told[1][0])
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
        self._record(event)
        self._coalescer.member(kind, member.name, event)

    def _take_from_peer(self, kind: str, told: tuple[Any, ...]) -> None:
        if kind == "user_event":
            _, ltime, name, payload, coalesce = told
            if self.recorder is not None:
                self.recorder.snapshot.seen("event-clock", ltime)
                self.recorder.flush()
            event = UserEvent(decode_name(name), payload or b"", ltime, coalesce)
            self._coalescer.user(event)
        elif kind == "filter":
            _, handle, filters, _deadline = told
            matches = self._judge(filters)
            self.serf.accept_query(handle, matches, time.monotonic_ns())
            self._driver.pump_soon()
        else:
            self._take_query(*told[1:])

    def _judge(self, filters: list[tuple[bytes, bytes]]) -> bool:
        """Whether a query is for this node; says once that a pattern could not be used."""
        refused = self.patterns.refused
        matches = self.patterns.match(filters, self.tags)
        if refused == 0 < self.patterns.refused:
            text = "a query is not answered: its pattern %s cannot be used; others are counted"
            pattern = decode_name(filters[0][1])
            now = time.monotonic()
            self._driver.reporter.write(logging.WARNING, "pattern", now, text, pattern)
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
        if self.recorder is not None:
            self.recorder.snapshot.seen("query-clock", ltime)
            self.recorder.flush()
        shown = decode_name(name)
        if shown.startswith(INTERNAL):
            self.answers.answer(handle, ltime, number, shown, payload or b"")
            return
        if not self._driver.hub.wants(QueryReceived):
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
        self._publish(event)

    def _respond(self, handle: int, payload: bytes) -> None:
        self._driver.check()
        if not isinstance(payload, bytes | bytearray | memoryview):
            raise ArgumentError(f"an answer is bytes, not {type(payload).__name__}")
        data, now = bytes(payload), time.monotonic_ns()
        try:
            self._driver.tell(lambda: self.serf.respond(handle, data, now))
        except ValueError as error:
            raise ArgumentError(str(error)) from None
        except RuntimeError as error:
            raise StateError(str(error)) from None

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
        self._publish(MessageReceived(payload[1:], source, reliable))

    def _take_ping(self, row: MemberRow, rtt_ns: int, payload: bytes) -> None:
        if self.config.disable_coordinates:
            return
        if self.places.heard(decode_name(row[0]), payload or b"", rtt_ns / 1e9):
            self._tell_place()

    def _tell_place(self) -> None:
        if not self.config.disable_coordinates:
            self._driver.core.set_ack_payload(encode_ping_payload(self.places.own.coordinate))

    def _publish(self, event: Event) -> None:
        self._driver.publish(event)

    # The snapshot.

    def _record(self, event: Event) -> None:
        if self.recorder is None:
            return
        match event:
            case MemberJoined(member):
                self.recorder.snapshot.joined(member.name, member.address)
            case MemberLeft(member) | MemberFailed(member):
                self.recorder.snapshot.gone(member.name)
            case _:
                return
        self._record_clock()
        self.recorder.flush()

    def _record_clock(self) -> None:
        """The last Lamport time seen of a member's status."""
        if self.recorder is not None and not self._driver.closed:
            self.recorder.snapshot.seen("clock", (self.serf.clocks()[0] - 1) & (2**64 - 1))

    async def _rejoin(self, before: Replayed) -> None:
        """Calls those who were alive, in random order, until one answers (Serf §16)."""
        known = [each for each in before.alive.items() if each[0] != self.name]
        core = self._driver.core
        while known:
            name, address = known.pop(self._rng.below(len(known)))
            ip, node = packed(address), encode_name(name)
            try:
                await self._driver.ask(partial(core.join, ip, address.port, node))
            except GossipError as error:
                _log.info("%s: %s of the snapshot is not reached: %s", self.name, name, error)
            else:
                _log.info("%s: joined again through %s, of the snapshot", self.name, name)
                return

    # Calls.

    def joining(self, *, ignore_old: bool) -> None:
        """A join begins; raises StateError after a leave."""
        try:
            self.serf.joining(ignore_old, time.monotonic_ns())
        except RuntimeError as error:
            raise StateError(str(error)) from None

    def joined(self, *, ignore_old: bool, contacted: int) -> None:
        """The join that began is over."""
        if not self._driver.closed:
            now = time.monotonic_ns()
            self._driver.tell(lambda: self.serf.joined(ignore_old, contacted, now))

    def send_event(self, name: str, payload: bytes, coalesce: bool) -> int:
        return self.serf.event(encode_name(name), payload, coalesce, time.monotonic_ns())

    def leave(self, now: int) -> int:
        if self.recorder is not None:
            self.recorder.snapshot.leave()
            self.recorder.flush()
        return self.serf.leave(now)

    def set_tags(self, tags: Mapping[str, str]) -> bytes:
        """The metadata of new tags; raises ArgumentError."""
        meta = encode_tags(tags, self.config.delegate_protocol_version)
        self.tags = dict(tags)
        return meta

    def ask(
        self,
        name: str,
        payload: bytes | None,
        *,
        nodes: tuple[str, ...] = (),
        tags: Mapping[str, str] | None = None,
        ack: bool = False,
        relay_factor: int = 0,
        timeout: float | None = None,
        acks_answer: bool = False,
    ) -> Query:
        """Sends a query; raises ValueError or RuntimeError with the core's words."""
        driver, now = self._driver, time.monotonic_ns()
        awaited = None if not tags else self._matching(nodes, tags)
        if awaited is None and not nodes:
            members = self.serf.alive_count
        else:
            members = len(nodes if awaited is None else awaited)
        number, ltime, deadline_ns = self.serf.query(
            encode_name(name),
            payload,
            now,
            nodes=[encode_name(node) for node in nodes],
            tags=[(encode_name(tag), encode_name(text)) for tag, text in (tags or {}).items()],
            ack=ack,
            relay_factor=relay_factor,
            timeout_ns=0 if timeout is None else round(timeout * 1e9),
            awaited=awaited,
            acks_answer=acks_answer,
        )
        query = self.queries.begin(name, number, ltime, deadline_ns / 1e9, members)
        driver.pump()
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

    def _cancel(self, number: int) -> None:
        if not self._driver.closed:
            self.serf.cancel_query(number)

    # Two nodes of one name.

    def _take_conflict(self, name: bytes) -> None:
        if decode_name(name) != self.name or not self.config.enable_name_conflict_resolution:
            return
        if self.voting is None or self.voting.done():
            self.voting = self._driver.loop.create_task(self._vote())

    async def _vote(self) -> None:
        """Asks the others who has this node's name; closes the node if it is not this one."""
        driver, now = self._driver, time.monotonic()
        try:
            query = self.ask(conflict.QUERY, encode_name(self.name))
        except (ValueError, RuntimeError) as error:
            driver.reporter.write(logging.ERROR, "vote", now, "no vote about the name: %s", error)
            return
        answers = await query.responses()
        if driver.closed:
            return
        verdict = conflict.count_votes(answers.values(), driver.address)
        text = "%d of %d members know this node by its name; %s"
        outcome = "it keeps it" if verdict.stay else "it closes: another node has the name"
        counts = (verdict.matching, verdict.answers)
        driver.reporter.write(logging.ERROR, "vote", time.monotonic(), text, *counts, outcome)
        if not verdict.stay:
            await driver.close()
