"""One node of a simulation: the calls of `gossip.Memberlist` and `gossip.Node`, without waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from gossip._checks import checked_payload, value_errors
from gossip._serf.calls import checked_query
from gossip._serf.coordinates import Coordinate
from gossip._serf.layer import MESSAGE
from gossip._translate import member_of
from gossip.errors import StateError
from gossip.events import Event, MembersSnapshot, UserEvent
from gossip.members import Member, Status, encode_name
from gossip.node_config import NodeConfig
from gossip.sim.keys import PoolKeys
from gossip.sim.serf import Query, SimulatedLayer

if TYPE_CHECKING:
    from gossip._core import Swim
    from gossip.sim.pool import Pool
    from gossip.sim.simulation import Simulation

Handler = Callable[[Event], object]
Which: TypeAlias = "SimulatedNode | int | str"
"""A node, by itself, its number or its name."""


class Call:
    """What an application asked a node for: whether that is over, and what came of it.

    error: why it failed; None while it runs, and when it succeeded. value: of a ping, the round
    trip in seconds. It is never over when the process crashes before.
    """

    def __init__(self, what: str) -> None:
        self.what = what
        self.over = False
        self.error: str | None = None
        self.value = 0.0

    def end(self, error: str | None, value: int) -> None:
        """What came of it; the simulation calls this."""
        self.over = True
        self.error = error
        self.value = value / 1e9

    def __repr__(self) -> str:
        return f"<{self.what}: {(self.error or 'done') if self.over else 'under way'}>"


class SimulatedNode:
    """One node of a simulation. `events` holds all it was told; handlers are called as it is.

    It is a `Memberlist` or, when the simulation was made with a `NodeConfig`, a `Node`. Its calls
    have their names and arguments; where theirs wait, these give a `Call`.
    """

    def __init__(self, simulation: Simulation, number: int) -> None:
        self._simulation = simulation
        self.number = number
        self.name = f"node-{number}"
        self.events: list[Event] = []
        self.lives = 0
        self._began = 0
        self._handlers: list[Handler] = []

    def __repr__(self) -> str:
        return f"<{self.name}{'' if self.is_up else ', down'}>"

    def on_event(self, handler: Handler) -> Handler:
        """Calls the handler with each event from now on, and first with a `MembersSnapshot`, as
        every subscription begins; also as a decorator. It may call this node; what it raises ends
        the run."""
        members = self.members() if self.is_up else []
        handler(MembersSnapshot(tuple(members)))
        self._handlers.append(handler)
        return handler

    def start(self, *, clock: int | None = None, meta: bytes | None = None) -> None:
        """A fresh process, which joins nobody. clock: its wall clock in Unix seconds, 0 for none;
        None: the simulation's. meta: of a Memberlist; None: as in the configuration."""
        self.lives += 1
        self._began = len(self.events)
        self._pool.start(
            self.number,
            self._simulation.config.meta if meta is None else meta,
            self._simulation.clock if clock is None else clock,
        )

    def heard(self) -> Iterator[UserEvent]:
        """The user events that this process was told of."""
        told = self.events[self._began :]
        return (event for event in told if isinstance(event, UserEvent))

    def tell(self, event: Event) -> None:
        """Its user is told; the simulation calls this."""
        self.events.append(event)
        for handler in self._handlers:
            handler(event)

    # Looking.

    @property
    def is_up(self) -> bool:
        return self._simulation.pool.engine.is_up(self.number)

    def members(self) -> list[Member]:
        if self._layer is not None:
            return self._layer.members()
        return [member_of(row) for row in self._core.members()]

    def member(self, name: Which) -> Member | None:
        """What this node knows of another; None: nothing."""
        if self._layer is not None:
            return self._layer.member(_name_of(name))
        row = self._core.member(encode_name(_name_of(name)))
        return None if row is None else member_of(row)

    def status(self, name: Which) -> Status | None:
        """What this node holds another to be; None: nothing."""
        member = self.member(name)
        return None if member is None else member.status

    @property
    def health_score(self) -> int:
        return self._core.health_score

    def ping(self, name: Which) -> Call:
        """Its `value` is the round trip in seconds."""
        call, member = Call("ping"), encode_name(_name_of(name))
        self._pool.ask(self.number, lambda core, now: core.ping(member, now), call.end)
        return call

    @property
    def tags(self) -> dict[str, str]:
        """A Node's tags as they are now."""
        return dict(self._serf.tags)

    def coordinate(self, name: Which | None = None) -> Coordinate | None:
        """Where a Node is, or where a member said it is when it was probed last."""
        return self._serf.coordinate(self.name if name is None else _name_of(name))

    def distance(self, name: Which, other: Which | None = None) -> float | None:
        """The round trip to be expected between a member and this Node, or `other`, in seconds."""
        there = self.name if other is None else _name_of(other)
        return self._serf.distance(_name_of(name), there)

    def stats(self) -> dict[str, int]:
        """The counters of the core, and those of Serf's layer."""
        serf = {} if self._layer is None else self._layer.stats()
        return self._core.stats() | serf

    # What an application asks for.

    def broadcast(self, payload: bytes, *, name: str = "") -> None:
        with value_errors():
            self._core.broadcast(self._marked(payload), encode_name(name))
        self._pool.engine.touch(self.number)

    def send(self, name: Which, payload: bytes, *, reliable: bool = False) -> Call:
        call, member, data = Call("send"), encode_name(_name_of(name)), self._marked(payload)
        with value_errors():
            self._pool.ask(
                self.number, lambda core, now: core.send(member, data, reliable, now), call.end
            )
        return call

    def update_meta(self, meta: bytes) -> Call:
        """Of a Memberlist; a Node's metadata are its tags."""
        if self._layer is not None:
            raise StateError("the metadata of a Node are its tags: use set_tags")
        return self._update("update_meta", meta)

    def join(self, other: Which, *, replay: bool = False) -> Call:
        """replay: a Node takes user events in that were sent before."""
        call, number = Call("join"), self._simulation.number_of(other)
        self._pool.join(self.number, number, replay=replay, answer=call.end)
        return call

    def leave(self) -> Call:
        """Says goodbye; it runs on until `crash`."""
        call = Call("leave")
        self._pool.leave(self.number, call.end)
        return call

    # Of a Node.

    def set_tags(self, tags: Mapping[str, str]) -> Call:
        return self._update("set_tags", self._serf.set_tags(tags))

    def send_event(self, name: str, payload: bytes = b"", *, coalesce: bool = True) -> int:
        data, layer = checked_payload(payload), self._serf
        with value_errors():
            ltime = layer.send_event(name, data, coalesce)
        self._simulation.sent(UserEvent(name, data, ltime, coalesce))
        layer.entered()
        return ltime

    def query(
        self,
        name: str,
        payload: bytes = b"",
        *,
        nodes: Sequence[Which] = (),
        tags: Mapping[str, str] | None = None,
        ack: bool = False,
        relay_factor: int = 0,
        timeout: float | None = None,
    ) -> Query:
        layer = self._serf
        names = nodes if isinstance(nodes, str) else [_name_of(node) for node in nodes]
        version = layer.config.delegate_protocol_version
        call = checked_query(name, payload, names, tags, ack, relay_factor, timeout, version)
        with value_errors():
            return layer.ask(call)

    def force_leave(self, name: Which, *, prune: bool = False) -> Call:
        call, member, serf = Call("force_leave"), encode_name(_name_of(name)), self._serf.serf
        self._pool.ask(self.number, lambda _, now: serf.force_leave(member, prune, now), call.end)
        return call

    @property
    def keys(self) -> PoolKeys:
        """The keys of the whole pool: install, use, remove, list."""
        return PoolKeys(self._serf)

    # Inside.

    @property
    def _pool(self) -> Pool:
        return self._simulation.pool

    @property
    def _core(self) -> Swim:
        return self._pool.swims[self.number]

    @property
    def _layer(self) -> SimulatedLayer | None:
        return self._pool.layers.get(self.number)

    @property
    def _serf(self) -> SimulatedLayer:
        if self._layer is None:
            what = type(self._simulation.config).__name__
            raise StateError(
                f"this is a call of a Node, and the simulation was made with a {what}: "
                f"give it a {NodeConfig.__name__}"
            )
        return self._layer

    def _marked(self, payload: bytes) -> bytes:
        data = checked_payload(payload)
        return data if self._layer is None else MESSAGE + data

    def _update(self, what: str, meta: bytes) -> Call:
        call = Call(what)
        with value_errors():
            self._pool.update_meta(self.number, meta, call.end)
        return call


def _name_of(which: Which) -> str:
    if isinstance(which, str):
        return which
    return which.name if isinstance(which, SimulatedNode) else f"node-{which}"
