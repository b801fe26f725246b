"""A pool of nodes on a network of its own, and the waits that most tests need."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, TracebackType
from typing import Any, Literal, Self

from gossip.config import DriverChoice
from tests.interop.lab.addresses import Network
from tests.interop.lab.cable import Cable, Side
from tests.interop.lab.child import Event
from tests.interop.lab.node import Flavour, Node
from tests.interop.lab.timings import FAST, SCHEDULING, Timings

PORT = 7946


@dataclass(frozen=True)
class Shape:
    """Who is in a pool and what they all have in common."""

    go: int = 0
    python: int = 0
    kinship: int = 0  # of a wire of their own: they are no members of a pool of the others
    timings: Timings = FAST
    keys: tuple[bytes, ...] = ()
    label: str = ""
    compression: bool = True
    family: Literal["IPv4", "IPv6"] = "IPv4"
    driver: DriverChoice = "asyncio"
    heal_interval: float = 30.0
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return self.go + self.python + self.kinship


class Pool:
    """The nodes of a shape, started on entry and killed on exit.

    They are named go-1, go-2, ..., python-1, ...; each starts with its name as metadata,
    `state of NAME` as user state and `ack of NAME` as ack payload. Every other Python node runs
    on uvloop, and every third seals with `cryptography`, the rest with EVP where there is one. An
    error that leaves the block carries everybody's log. With a cable, those of the names in `there`
    live at its other end.
    """

    def __init__(self, shape: Shape, cable: Cable | None = None, there: Iterable[str] = ()) -> None:
        self.shape = shape
        self.network = Network()
        self.there = frozenset(there)
        self._cable = cable
        self.go = [self._node("go", number) for number in range(1, shape.go + 1)]
        self.python = [self._node("python", number) for number in range(1, shape.python + 1)]
        self.kinship = [self._node("kinship", number) for number in range(1, shape.kinship + 1)]
        self.extra: list[Node] = []

    @property
    def nodes(self) -> list[Node]:
        return [*self.go, *self.python, *self.kinship]

    @property
    def timings(self) -> Timings:
        return self.shape.timings

    @property
    def failed_within(self) -> float:
        return self.timings.failed_within(self.shape.size)

    @property
    def spread_within(self) -> float:
        return self.timings.spread_within(self.shape.size)

    async def __aenter__(self) -> Self:
        try:
            await asyncio.gather(*(node.start() for node in self.nodes))
        except BaseException as error:
            await self._close(error)
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._close(error)

    async def restart(self, node: Node) -> Node:
        """A node of the same name, at the same address, in the place of one that has ended."""
        await node.close()
        reborn = Node(node.name, node.flavour, node.config, node.arguments, node.prefix)
        nodes = self.go if node.flavour == "go" else self.python
        nodes[nodes.index(node)] = reborn
        await reborn.start()
        return reborn

    async def add(self, flavour: Flavour, name: str) -> Node:
        """One more node, of any name, that belongs to no list but `extra`."""
        self.extra.append(self._node(flavour, len(self.extra) + 51, name))
        await self.extra[-1].start()
        return self.extra[-1]

    async def join_all(self, *, twice: bool = False) -> None:
        """Bring all together: half of the nodes through a Go node, half through a Python node.

        Now and then gossip misses a node of so many that join at once. The next push/pulls mend
        that, but with LAN timers they are a minute away: `twice`, and all call a seed again.
        """
        first, second = (self.go[:1] + self.python + self.go[1:] + self.kinship)[:2]
        await second.join(first)
        others = [node for node in self.nodes if node not in (first, second)]
        await asyncio.gather(*(node.join((first, second)[i % 2]) for i, node in enumerate(others)))
        if twice:
            await asyncio.gather(*(node.join(first) for node in self.others(first)))
        await self.all_see(self.nodes)

    async def all_see(self, members: Iterable[Node], within: float | None = None) -> None:
        """Every node of the list holds every other for alive."""
        members = list(members)
        names = {node.name for node in members}

        async def wait(node: Node) -> None:
            def check() -> bool | None:
                return all(node.sees(name) for name in names) or None

            await node.until(f"sees {sorted(names)}", within or self.spread_within, check)

        await asyncio.gather(*(wait(node) for node in members))

    async def all_saw(
        self, observers: Iterable[Node], subject: Node, *statuses: str, within: float
    ) -> None:
        """Every observer holds the subject for one of the statuses."""

        async def wait(node: Node) -> None:
            def check() -> bool | None:
                return node.view[subject.name].status in statuses or None

            await node.until(f"{subject.name} is one of {statuses}", within, check)

        await asyncio.gather(*(wait(node) for node in observers))

    async def any_saw(
        self,
        observers: Iterable[Node],
        kind: str,
        within: float,
        since: Mapping[Node, int] = MappingProxyType({}),
        **fields: Any,
    ) -> Event:
        """One of the observers reports such an event, from its `since` on."""
        waits = [
            asyncio.ensure_future(node.saw(kind, within, since.get(node, 0), **fields))
            for node in observers
        ]
        done, rest = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in rest:
            wait.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        return done.pop().result()

    async def none_sees(
        self, *kinds: str, until: float, since: Mapping[Node, int] = MappingProxyType({})
    ) -> None:
        """Up to this monotonic time no node reports such an event; fails at the first that does."""

        async def watch(node: Node) -> None:
            def check() -> Event | None:
                events = node.events[since.get(node, 0) :]
                return next((event for event in events if event.kind in kinds), None)

            seen = await node.until(f"one of {kinds}", forever, check)
            raise AssertionError(f"{node.name} saw {seen.kind}: {seen.fields}")

        forever = 2 * max(0.0, until - time.monotonic()) + SCHEDULING
        watches = [asyncio.ensure_future(watch(node)) for node in self.nodes]
        done, rest = await asyncio.wait(
            watches, timeout=until - time.monotonic(), return_when=asyncio.FIRST_EXCEPTION
        )
        for wait in rest:
            wait.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        for watched in done:
            watched.result()

    def others(self, *absent: Node) -> list[Node]:
        return [node for node in self.nodes if node not in absent]

    async def all_saw_meta(self, observers: Iterable[Node], subject: Node, meta: bytes) -> None:
        async def wait(node: Node) -> None:
            def check() -> bool | None:
                return node.view[subject.name].meta == meta or None

            await node.until(f"metadata {meta!r} of {subject.name}", self.spread_within, check)

        await asyncio.gather(*(wait(node) for node in observers))

    def _node(self, flavour: Flavour, number: int, name: str = "") -> Node:
        name = name or f"{flavour}-{number}"
        host = number if flavour == "go" else 100 + number
        prefix: list[str] = []
        if self._cable is not None:
            side: Side = "there" if name in self.there else "here"
            place = {"bind": self._cable.host(side, host), "port": PORT}
            prefix = self._cable.inside(side)
        elif self.shape.family == "IPv6":
            place = {"bind": "::1", "port": 0}
        else:
            place = {"bind": self.network.host(host), "port": PORT}
        config = {
            "name": name,
            "profile": "lan",
            "keys": [key.hex() for key in self.shape.keys],
            "label": self.shape.label,
            "enable_compression": self.shape.compression,
            "meta": name.encode().hex(),
            "state": f"state of {name}".encode().hex(),
            "ack_payload": f"ack of {name}".encode().hex(),
            **place,
            **self.shape.timings.settings(),
            **self.shape.more,
        }
        if flavour == "python":
            config["driver"] = self.shape.driver
            config["heal_interval"] = self.shape.heal_interval
            config["aead"] = "cryptography" if number % 3 == 0 else "auto"
        uvloop = flavour == "python" and number % 2 == 0
        return Node(name, flavour, config, ["uvloop"] if uvloop else [], prefix)

    async def _close(self, error: BaseException | None) -> None:
        everybody = [*self.nodes, *self.extra]
        await asyncio.gather(*(node.close() for node in everybody))
        self.network.close()
        if error is not None:
            error.add_note("\n".join(node.report() for node in everybody))
