"""One production core against puppets: each packet, event and stream is kept with its time.

Pools of cores are on the simulator's engine; this stays beside it, since there only cores speak.

Puppets speak for foreign nodes: they answer pings or do not, relay or do not, accept streams or do
not, as the test says. Nothing happens by itself between `hear`, `run_for` and `run_until`.
"""

from __future__ import annotations

import heapq
import ipaddress
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gossip._core import Identities, Serf, Swim

from . import wire
from .settings import EPOCH, MILLISECOND, SERF_VERSIONS, lan
from .wire import Message

ROUND_TRIP = MILLISECOND
# A helper gives up after ProbeTimeout; its nack has to travel too.
NACK_DELAY = 500 * MILLISECOND + ROUND_TRIP

# What a puppet does with a stream it was dialled for: the request's bytes in, the reply out; None
# waits for more bytes.
Server = Callable[[bytes], bytes | None]


def ip(text: str) -> bytes:
    return ipaddress.ip_address(text).packed


@dataclass
class Puppet:
    """A foreign node whose strings the test holds."""

    name: bytes
    ip: bytes
    port: int = 7946
    incarnation: int = 1
    meta: bytes = b""
    vsn: bytes = wire.VSN
    answers: bool = True
    relays: bool = True
    dialled: str = "refuse"  # or "hang", or "accept"
    serve: Server | None = None

    def alive(self, incarnation: int | None = None, **changes: Any) -> bytes:
        """This node's alive claim, parts of it replaced."""
        said = self.incarnation if incarnation is None else incarnation
        fields: dict[str, Any] = {
            "node": self.name, "addr": self.ip, "port": self.port, "meta": self.meta,
            "vsn": self.vsn, "incarnation": said,
        }  # fmt: skip
        return wire.alive(**(fields | changes))

    def entry(self, state: int = wire.STATE_ALIVE, **changes: Any) -> dict[str, object]:
        """This node's entry of a push/pull, parts of it replaced."""
        fields: dict[str, Any] = {
            "name": self.name, "addr": self.ip, "port": self.port, "meta": self.meta,
            "vsn": self.vsn, "incarnation": self.incarnation, "state": state,
        }  # fmt: skip
        return wire.push_node(**(fields | changes))

    def ping(self, seq_no: int, node: bytes) -> bytes:
        return wire.ping(
            seq_no, node, SourceAddr=self.ip, SourcePort=self.port, SourceNode=self.name
        )


@dataclass(frozen=True)
class Sent:
    """A datagram the core sent."""

    at: int
    ip: bytes
    port: int
    data: bytes
    messages: tuple[Message, ...]


TICKS_MAX = 10_000
"""In one moment: a tick does a slice of what is due, and all together must come to an end."""


@dataclass
class Stream:
    """A stream of the core under test, as the other side sees it."""

    id: int
    ip: bytes
    port: int
    opened_at: int
    written: bytes = b""
    closed_at: int | None = None


@dataclass
class Solo:
    """A started core named `self` at 10.0.0.1:7946, its puppets, and all that came out of it."""

    swim: Swim
    serf_layer: Serf | None = None
    now: int = EPOCH
    keys: tuple[bytes, ...] = ()
    label: bytes = b""
    puppets: dict[tuple[bytes, int], Puppet] = field(default_factory=dict)
    sent: list[Sent] = field(default_factory=list)
    events: list[tuple[Any, ...]] = field(default_factory=list)
    event_times: list[int] = field(default_factory=list)
    streams: dict[int, Stream] = field(default_factory=dict)
    dialled: list[Stream] = field(default_factory=list)
    _due: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    _order: int = 0

    @classmethod
    def start(
        cls,
        *,
        seed: int = 1,
        name: bytes = b"self",
        address: bytes = bytes((10, 0, 0, 1)),
        port: int = 7946,
        bind_port: int = 0,
        meta: bytes = b"",
        label: bytes = b"",
        keys: Sequence[bytes] = (),
        cidrs: Sequence[tuple[bytes, int]] | None = None,
        identities: Identities | None = None,
        serf: Mapping[str, int] | None = None,
        restored: tuple[int, int, int] | None = None,
        **changes: Any,
    ) -> Solo:
        """LAN settings with `changes`; every random choice of the core follows from `seed`.

        `serf` gives it a Serf layer with those settings, `restored` that layer's clocks.
        """
        if serf is not None:
            changes = SERF_VERSIONS | changes
        swim = Swim(
            lan(**changes), name=name, address=address, port=port, bind_port=bind_port,
            meta=meta, label=label,
            cidrs=cidrs, seed=seed, identities=identities,
        )  # fmt: skip
        solo = cls(swim, label=label)
        if serf is not None:
            solo.serf_layer = Serf(swim, serf)
            if restored is not None:
                solo.serf_layer.restore(*restored)
        if keys:
            solo.install(keys)
        swim.start(solo.now)
        solo.collect()
        return solo

    @property
    def serf(self) -> Serf:
        assert self.serf_layer is not None, "this core has no Serf layer"
        return self.serf_layer

    def install(self, keys: Sequence[bytes]) -> None:
        """Put a key ring; nonces are counted, not random, so that a run can be repeated."""
        self.keys = tuple(keys)
        self.swim.set_keys([AESGCM(key) for key in keys], random.Random(1).randbytes)

    # Puppets.

    def puppet(self, name: str, **changes: Any) -> Puppet:
        """A foreign node at the next free address; the core does not know it yet."""
        number = len(self.puppets) + 1
        changes.setdefault("vsn", wire.SERF_VSN if self.serf_layer is not None else wire.VSN)
        made = Puppet(name.encode(), bytes((10, 0, 1, number)), **changes)
        self.puppets[made.ip, made.port] = made
        return made

    def member(self, name: str, **changes: Any) -> Puppet:
        """A puppet the core has just heard alive."""
        made = self.puppet(name, **changes)
        self.hear(made.alive(), source=made)
        assert self.swim.member(made.name) is not None, f"{name} was not accepted"
        return made

    def members(self, count: int, **changes: Any) -> list[Puppet]:
        return [self.member(f"peer-{number}", **changes) for number in range(count)]

    # In.

    def hear(self, *messages: bytes, source: Puppet | None = None) -> None:
        """The messages as one plain packet from a puppet, or from a stranger's address."""
        packet = messages[0] if len(messages) == 1 else wire.compound(messages)
        self.hear_packet(packet, source)

    def hear_packet(self, packet: bytes, source: Puppet | None = None) -> None:
        address = (source.ip, source.port) if source else (bytes((192, 0, 2, 1)), 4242)
        self.swim.receive([(packet, *address)], self.now)
        self.collect()

    def dial(self, data: bytes, *, ends: bool = False) -> Stream:
        """A foreign node dials in and writes; `ends` also closes its sending side."""
        address = (bytes((192, 0, 2, 1)), 50_000)
        number = self.swim.accept_stream(*address, self.now)
        assert number >= 0, "the stream was refused"
        stream = self.streams[number] = Stream(number, *address, self.now)
        self.collect()
        self.feed(stream, data)
        if ends and stream.closed_at is None:
            self.swim.stream_ended(number, self.now)
            self.collect()
        return stream

    def feed(self, stream: Stream, data: bytes) -> None:
        if data and stream.closed_at is None:
            self.swim.stream_received(stream.id, data, self.now)
            self.collect()

    # Time.

    def run_until(self, at: int) -> None:
        """Let time pass, jumping from one due thing to the next."""
        ticks = 0
        while True:
            deadline = self.swim.next_deadline()
            due = deadline[0] if deadline is not None else at + 1
            if self._due and self._due[0][0] <= due and self._due[0][0] <= at:
                moment, _, action = heapq.heappop(self._due)
                self.now = max(self.now, moment)
                action()
            elif due <= at:
                ticks = ticks + 1 if due <= self.now else 0
                assert ticks < TICKS_MAX, f"{deadline} stays due"
                self.now = max(self.now, due)
                self.swim.tick(self.now)
            else:
                break
            self.collect()
        self.now = max(self.now, at)

    def run_for(self, duration: int) -> None:
        self.run_until(self.now + duration)

    def run_while(self, condition: Callable[[], bool], *, limit: int) -> None:
        """Run step by step until the condition no longer holds; fails after `limit`."""
        end = self.now + limit
        while condition():
            assert self.now < end, "nothing changed in time"
            self.run_until(min(end, self.next_step()))

    def next_step(self) -> int:
        """When something is due next."""
        deadline = self.swim.next_deadline()
        times = [deadline[0]] if deadline is not None else []
        if self._due:
            times.append(self._due[0][0])
        return max(self.now, min(times))

    def later(self, delay: int, action: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._due, (self.now + delay, self._order, action))

    # Out.

    def collect(self) -> None:
        """Take what the core made, and let it do what it put off; puppets see what is theirs."""
        self._take()
        while (deadline := self.swim.next_deadline()) is not None and deadline[1] == "work":
            self.swim.tick(self.now)
            self._take()

    def _take(self) -> None:
        for data, address, port in self.swim.transmits():
            messages = tuple(wire.read(data, self.keys, self.label))
            packet = Sent(self.now, address, port, data, messages)
            self.sent.append(packet)
            puppet = self.puppets.get((address, port))
            if puppet is not None:
                self._deliver(puppet, packet)
        for event in self.swim.events():
            self.events.append(event)
            self.event_times.append(self.now)
        for command in self.swim.commands():
            self._obey(command)

    def _deliver(self, puppet: Puppet, packet: Sent) -> None:
        for message in packet.messages:
            if message.kind == "ping" and puppet.answers:
                self._reply(puppet, ROUND_TRIP, wire.ack(message["SeqNo"]))
            elif message.kind == "indirectPing" and puppet.relays:
                target = self.puppets.get((message["Target"], message["Port"]))
                if target is not None and target.answers:
                    self._reply(puppet, 2 * ROUND_TRIP, wire.ack(message["SeqNo"]))
                elif message["Nack"]:
                    self._reply(puppet, NACK_DELAY, wire.nack(message["SeqNo"]))

    def _reply(self, puppet: Puppet, delay: int, message: bytes) -> None:
        self.later(delay, lambda: self.swim.receive(
            [(message, puppet.ip, puppet.port)], self.now
        ))  # fmt: skip

    def _obey(self, command: tuple[Any, ...]) -> None:
        kind, number = command[0], command[1]
        if kind == "open":
            stream = Stream(number, command[2], command[3], self.now)
            self.streams[number] = stream
            self.dialled.append(stream)
            self._answer_dial(stream)
        elif kind == "write":
            stream = self.streams[number]
            assert stream.closed_at is None, "written after close"
            stream.written += command[2]
            self._serve(stream)
        else:
            assert kind == "close", command
            assert self.streams[number].closed_at is None, "closed twice"
            self.streams[number].closed_at = self.now

    def _answer_dial(self, stream: Stream) -> None:
        puppet = self.puppets.get((stream.ip, stream.port))
        policy = puppet.dialled if puppet is not None else "hang"
        if policy == "refuse":
            self.later(ROUND_TRIP, lambda: self.fail(stream, "connection refused"))
        elif policy == "accept":
            self.later(ROUND_TRIP, lambda: self.open(stream))

    def open(self, stream: Stream) -> None:
        if stream.closed_at is None:
            self.swim.stream_opened(stream.id, self.now)

    def fail(self, stream: Stream, text: str) -> None:
        if stream.closed_at is None:
            self.swim.stream_failed(stream.id, text, self.now)

    def end(self, stream: Stream) -> None:
        if stream.closed_at is None:
            self.swim.stream_ended(stream.id, self.now)

    def _serve(self, stream: Stream) -> None:
        puppet = self.puppets.get((stream.ip, stream.port))
        reply = puppet.serve(stream.written) if puppet is not None and puppet.serve else None
        if reply is not None:
            data = reply
            self.later(ROUND_TRIP, lambda: self._finish(stream, data))

    def _finish(self, stream: Stream, reply: bytes) -> None:
        if reply and stream.closed_at is None:
            self.swim.stream_received(stream.id, reply, self.now)
            self.collect()
        self.end(stream)

    # What came out.

    def kinds(self, *, ignoring: Iterable[str] = ()) -> list[str]:
        """The kinds of all events so far, in order."""
        return [event[0] for event in self.events if event[0] not in ignoring]

    def events_of(self, kind: str, name: bytes | None = None) -> list[tuple[Any, ...]]:
        """Events of a kind; `name` keeps those about one member."""
        found = [event for event in self.events if event[0] == kind]
        return found if name is None else [event for event in found if event[1][0] == name]

    def messages(self, kind: str, *, to: Puppet | None = None, since: int = 0) -> list[Message]:
        """Messages of a kind sent so far, to one puppet or to all."""
        return [
            message
            for packet in self.packets(to=to, since=since)
            for message in packet.messages
            if message.kind == kind
        ]

    def packets(
        self, kind: str | None = None, *, to: Puppet | None = None, since: int = 0
    ) -> list[Sent]:
        """Packets that hold a message of a kind, in the order sent."""
        return [
            packet
            for packet in self.sent
            if packet.at >= since
            and (to is None or (packet.ip, packet.port) == (to.ip, to.port))
            and (kind is None or any(message.kind == kind for message in packet.messages))
        ]

    def state(self, name: bytes) -> str:
        """A member's state in the table, or `unknown`."""
        row = self.swim.member(name)
        return "unknown" if row is None else wire.STATE_NAMES[row[5]]

    def row(self, name: bytes) -> tuple[bytes, bytes, int, bytes, bytes, int, int, int]:
        """A member that must be in the table."""
        row = self.swim.member(name)
        assert row is not None, f"{name!r} is unknown"
        return row

    def incarnation(self, name: bytes = b"self") -> int:
        return self.row(name)[6]

    def dropped(self, reason: str) -> int:
        """How many datagrams or parts were dropped for a reason."""
        return self.swim.stats()[f"dropped_{reason}"]

    def forget(self) -> None:
        """Start the record anew: only what comes from now on is kept."""
        self.sent.clear()
        self.events.clear()
        self.event_times.clear()
