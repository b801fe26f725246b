"""A simulated cluster for users: `Simulation`, and `SimulatedNode`, which handlers are put on.

Everything is in seconds of virtual time and in the values of `gossip.events` and `gossip.members`,
as with a real node; nothing waits, nothing is random but by the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gossip._sim import EPOCH_NS
from gossip._translate import event_of, member_of
from gossip.config import Config
from gossip.errors import GossipError
from gossip.events import Event
from gossip.members import Member, Status
from gossip.sim.pool import MILLISECOND, SECOND, Pool

Handler = Callable[[Event], object]

# What the core tells its driver and not its user.
INTERNAL = frozenset({"done", "asked", "lost", "pushed"})


class NotSo(GossipError, AssertionError):
    """What was waited for did not come in time, or a rule of the protocol was broken."""


class SimulatedNode:
    """One node of a simulation. `events` holds all it was told; handlers are called as it is."""

    def __init__(self, simulation: Simulation, number: int) -> None:
        self._simulation = simulation
        self.number = number
        self.name = f"node-{number}"
        self.events: list[Event] = []
        self._handlers: list[Handler] = []

    def __repr__(self) -> str:
        return f"<{self.name}{'' if self.is_up else ', down'}>"

    @property
    def is_up(self) -> bool:
        return self._simulation.pool.engine.is_up(self.number)

    @property
    def _core(self) -> Any:
        return self._simulation.pool.swims[self.number]

    @property
    def _now(self) -> int:
        return self._simulation.pool.engine.clock(self.number)

    def on_event(self, handler: Handler) -> Handler:
        """Calls the handler with each event from now on; also as a decorator. It may call this
        node; what it raises ends the run."""
        self._handlers.append(handler)
        return handler

    def members(self) -> list[Member]:
        return [member_of(row) for row in self._core.members()]

    def status(self, other: SimulatedNode | int) -> Status | None:
        """What this node holds another to be; None: nothing."""
        number = other if isinstance(other, int) else other.number
        row = self._core.member(b"node-%d" % number)
        return None if row is None else member_of(row).status

    @property
    def health_score(self) -> int:
        return int(self._core.health_score)

    # What an application asks for.

    def broadcast(self, payload: bytes, name: str = "") -> None:
        self._core.broadcast(payload, name.encode())
        self._touch()

    def send(self, to: SimulatedNode | int, payload: bytes, *, reliable: bool = True) -> None:
        number = to if isinstance(to, int) else to.number
        self._core.send(b"node-%d" % number, payload, reliable, self._now)
        self._touch()

    def update_meta(self, meta: bytes) -> None:
        self._core.update_meta(meta, self._now)
        self._touch()

    def join(self, other: SimulatedNode | int) -> None:
        self._simulation.pool.join(self.number, other if isinstance(other, int) else other.number)

    def leave(self) -> None:
        """Says goodbye; it runs on until `crash`."""
        self._core.leave(self._now)
        self._touch(leaving=True)

    def _touch(self, leaving: bool = False) -> None:
        self._simulation.pool.engine.touch(self.number, leaving)

    def take_events(self) -> None:
        """Takes what the core told, and calls the handlers."""
        for told in self._core.events():
            if told[0] in INTERNAL:
                continue
            event = event_of(told)
            self.events.append(event)
            for handler in self._handlers:
                handler(event)


class Simulation:
    """A cluster of the production core in virtual time. Two runs of one seed are the same.

    size: how many nodes; their numbers are also their names, `node-0` and so on.
    config: as for `Memberlist`; what is about sockets, keys and seeds is not used.
    """

    def __init__(self, size: int, *, seed: int = 1, config: Config | None = None) -> None:
        settings = (config or Config.lan()).settings()
        self.seed = seed
        self.pool = Pool(size, settings, seed, check=1)
        self.pool.engine.delay("uniform", 100_000, MILLISECOND)
        self.nodes = [SimulatedNode(self, number) for number in range(size)]
        for node in self.nodes:
            self.pool.engine.watch(node.number, True)

    def __getitem__(self, number: int) -> SimulatedNode:
        return self.nodes[number]

    def __len__(self) -> int:
        return len(self.nodes)

    @property
    def living(self) -> list[SimulatedNode]:
        return [node for node in self.nodes if node.is_up]

    @property
    def now(self) -> float:
        """Seconds since the simulation began."""
        return (self.pool.engine.now - EPOCH_NS) / SECOND

    @property
    def trace(self) -> str:
        """A hash of all that happened: the same for the same seed and the same calls."""
        return self.pool.engine.trace

    # --- time ---

    def start(self) -> None:
        """Starts all nodes within a second, joined to the first, and waits until they agree."""
        for node in self.nodes:
            self.pool.start(node.number)
            if node.number:
                self.pool.join(node.number, 0)
            self.advance(1 / len(self.nodes))
        self.wait_until(self.agreed, within=300)

    def advance(self, seconds: float) -> None:
        """Lets time pass; handlers are called when their events come."""
        self._run_to(self.pool.engine.now + round(seconds * SECOND))

    def _run_to(self, end: int) -> None:
        engine = self.pool.engine
        while not engine.run(end):
            broken = engine.violation
            if broken is not None:
                raise NotSo(f"{broken[0]}: {broken[1:]} (seed {self.seed})")
            for node in self.living:
                node.take_events()

    def wait_until(
        self, condition: Callable[[], bool], *, within: float = 60.0, step: float = 0.05
    ) -> float:
        """Lets time pass until the condition holds, looked at each `step`; gives the seconds it
        took. Raises `NotSo`, an AssertionError, after `within`."""
        began = self.now
        while not condition():
            if self.now - began >= within:
                raise NotSo(f"not so within {within:g} s of virtual time (seed {self.seed})")
            self.advance(step)
        return self.now - began

    def agreed(self) -> bool:
        """Whether all that are up hold just each other, alive and as they last said."""
        return self.pool.engine.agreed()

    # --- faults ---

    def partition(self, *groups: Iterable[int]) -> None:
        """The groups hear only themselves; nodes in no group are with the first."""
        engine = self.pool.engine
        self.heal()
        for side, group in enumerate(groups):
            for number in group:
                engine.side(number, side)
        for one in range(len(groups)):
            for other in range(len(groups)):
                if one != other:
                    engine.cut(one, other)

    def block(self, sources: Sequence[int], targets: Sequence[int]) -> None:
        """Nothing passes from the sources to the targets any more; the other way it does."""
        for source in sources:
            for target in targets:
                if source != target:
                    self.pool.engine.link(source, target, datagrams=False, streams=False)

    def heal(self) -> None:
        """Partitions and blocks are over."""
        self.pool.engine.heal()

    def network(
        self, *, loss: float = 0, delay: tuple[float, float] | None = None, duplicates: float = 0
    ) -> None:
        """How the network is from now on: loss and duplicates as parts of one, the delay in seconds
        from and to; None: it stays."""
        self.pool.engine.network(loss=loss, duplicates=duplicates)
        if delay is not None:
            low, high = (round(each * SECOND) for each in delay)
            self.pool.engine.delay("uniform", low, high)

    def pause(self, number: int, seconds: float) -> None:
        """The process stands still, as after SIGSTOP."""
        self.pool.engine.pause(number, round(seconds * SECOND))

    def crash(self, number: int) -> None:
        """The process is gone without a word."""
        self.pool.engine.crash(number)

    def restart(self, number: int, *, join: int | None = None) -> None:
        """A fresh process of a node that crashed; it joins that node, or the first other one."""
        others = [node.number for node in self.living]
        clock = 1_900_000_000 + self.pool.engine.now // SECOND
        self.pool.start(number, clock=clock)
        if join is not None or others:
            self.pool.join(number, others[0] if join is None else join)
