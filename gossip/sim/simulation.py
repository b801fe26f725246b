"""A simulated cluster for users: `Simulation`, in seconds of virtual time.

It speaks in the values of `gossip.events` and `gossip.members`, as a real node does; nothing waits,
nothing is random but by the seed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from gossip._sim import EPOCH_NS
from gossip.config import Config
from gossip.errors import ArgumentError, GossipError
from gossip.events import Event, UserEvent
from gossip.keys import parse_key
from gossip.node_config import NodeConfig
from gossip.sim.node import SimulatedNode, Which
from gossip.sim.pool import MILLISECOND, SECOND, Pool

BEGIN = 1_900_000_000
"""About when the simulation is, in Unix seconds."""

_Said = tuple[int, str, bytes]


def _said(event: UserEvent) -> _Said:
    """What makes two user events the same."""
    return event.ltime, event.name, event.payload


class NotSo(GossipError, AssertionError):
    """What was waited for did not come in time, or a rule of the protocol was broken."""


class Simulation:
    """A cluster of the production core in virtual time. Two runs of one seed are the same.

    size: how many nodes; their numbers are also their names, `node-0` and so on.
    config: as for `Memberlist`, or a `NodeConfig` as for `Node`: then each node has Serf's layer.
    Its `key`, `label`, `meta` and `tags` are those of every node, and of its addresses only counts
    whether `bind` is of IPv6; what is about files and seeds is not used. Without one:
    `Config.lan()`.
    """

    def __init__(self, size: int, *, seed: int = 1, config: Config | None = None) -> None:
        self.config = config or Config.lan()
        self.seed = seed
        key = self.config.key
        self.pool = Pool(
            size,
            self.config.settings(),
            seed,
            check=1,
            keys=() if key is None else (parse_key(key) if isinstance(key, str) else key,),
            label=self.config.label,
            ipv6=":" in self.config.bind_address.host,
            serf=self.config if isinstance(self.config, NodeConfig) else None,
            on_event=self._tell,
        )
        self.pool.engine.delay("uniform", 100_000, MILLISECOND)
        self.nodes = [SimulatedNode(self, number) for number in range(size)]
        self._sent: list[tuple[_Said, set[tuple[int, int]]]] = []

    def __getitem__(self, number: int) -> SimulatedNode:
        return self.nodes[number]

    def __len__(self) -> int:
        return len(self.nodes)

    def number_of(self, which: Which) -> int:
        """A node's number; raises ArgumentError for a name that none has."""
        if isinstance(which, SimulatedNode):
            return which.number
        if isinstance(which, int):
            return which
        for node in self.nodes:
            if node.name == which:
                return node.number
        raise ArgumentError(f"there is no node {which!r}")

    @property
    def living(self) -> list[SimulatedNode]:
        return [node for node in self.nodes if node.is_up]

    @property
    def now(self) -> float:
        """Seconds since the simulation began."""
        return (self.pool.engine.now - EPOCH_NS) / SECOND

    @property
    def clock(self) -> int:
        """The wall clock of the simulated machines, in Unix seconds."""
        return BEGIN + self.pool.engine.now // SECOND

    @property
    def trace(self) -> str:
        """A hash of all that happened and was told: the same for the same seed and calls."""
        return self.pool.engine.trace

    def _tell(self, number: int, event: Event) -> None:
        self.pool.engine.note(number, repr(event).encode())
        self.nodes[number].tell(event)

    # --- time ---

    def start(self) -> None:
        """Starts all nodes within a second, joined to the first, and waits until they agree."""
        for node in self.nodes:
            node.start()
            if node.number:
                node.join(0)
            self.advance(1 / len(self.nodes))
        self.wait_until(self.agreed, within=300)

    def advance(self, seconds: float) -> None:
        """Lets time pass; handlers are called when their events come."""
        self.pool.run(round(seconds * SECOND))
        broken = self.pool.engine.violation
        if broken is not None:
            raise NotSo(f"{broken[0]}: {broken[1:]} (seed {self.seed})")

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

    def delivered(self) -> bool:
        """Whether each user event was told once to all that are up and were when it was sent."""
        told = {node: Counter(_said(event) for event in node.heard()) for node in self.living}
        return all(
            told[node][said] == 1
            for said, lives in self._sent
            for node in self.living
            if (node.number, node.lives) in lives
        )

    def sent(self, event: UserEvent) -> None:
        """Somebody sent it: those that are up must be told of it."""
        lives = {(node.number, node.lives) for node in self.living}
        self._sent.append((_said(event), lives))

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
        self.pool.crash(number)

    def restart(self, number: int, *, join: int | None = None) -> None:
        """A fresh process of a node that crashed; it joins that node, or the first other one."""
        others = [node.number for node in self.living]
        self.nodes[number].start()
        if join is not None or others:
            self.nodes[number].join(others[0] if join is None else join)
