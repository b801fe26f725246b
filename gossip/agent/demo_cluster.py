"""The nodes of `gossip demo`: real ones, each with what its events have told of the others.

Knows nothing of the steps and prints nothing. Whoever waits here waits for events, up to the
deadline of the step around him.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

import gossip

Heard = Callable[["DemoNode", gossip.Event], None]


class DemoNode:
    """One node through the public API, and the members as its subscription showed them.

    address: "" until it is started. condition: "up", "killed" or "left", as the demo made it.
    """

    def __init__(self, config: gossip.NodeConfig, heard: Heard) -> None:
        self.node = gossip.Node.from_config(config)
        self.name = self.node.name
        self.address = ""
        self.condition = "up"
        self.members: dict[str, gossip.Member] = {}
        self.told: list[gossip.UserEvent] = []
        self.stats: gossip.Stats | None = None
        self._heard = heard
        self._changed = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.node.start()
        self.address = str(self.node.address)
        self._reader = asyncio.create_task(self._read(self.node.events()))

    async def stop(self, condition: str) -> None:
        """Closes the sockets; whether it said goodbye before is the caller's business."""
        self.condition = condition
        self.stats = self.node.stats()
        await self.node.close()
        await self.finish()

    async def finish(self) -> None:
        """Closes what is still open; for the end, whatever came before."""
        await self.node.close()
        if self._reader is not None:
            await self._reader

    async def _read(self, events: gossip.Subscription[gossip.Event]) -> None:
        async for event in events:
            self._take(event)
            self._heard(self, event)
            self._changed.set()

    def _take(self, event: gossip.Event) -> None:
        match event:
            case gossip.MembersSnapshot(members):
                self.members = {member.name: member for member in members}
            case gossip.UserEvent():
                self.told.append(event)
            case gossip.QueryReceived():
                event.respond(self.address.encode())
            case gossip.NameConflict() | gossip.PingCompleted():
                pass
            case _:
                member = getattr(event, "member", None)
                if isinstance(member, gossip.Member):
                    self.members[member.name] = member

    def holds(self, name: str) -> gossip.Status | None:
        """What this node holds the node of that name to be."""
        member = self.members.get(name)
        return None if member is None else member.status

    async def until(self, true: Callable[[DemoNode], bool]) -> None:
        while not true(self):
            self._changed.clear()
            await self._changed.wait()


class Cluster:
    """All nodes of the demo, on 127.0.0.1, each on ports of its own."""

    def __init__(self, count: int, heard: Heard) -> None:
        digits = len(str(count))
        self.all = [
            DemoNode(
                gossip.NodeConfig.lan(
                    name=f"node-{place + 1:0{digits}}", bind="127.0.0.1:0", plaintext=True
                ),
                heard,
            )
            for place in range(count)
        ]

    def up(self, *, without: DemoNode | None = None) -> list[DemoNode]:
        return [each for each in self.all if each.condition == "up" and each is not without]

    async def start(self) -> None:
        for each in self.all:
            await each.start()

    async def close(self) -> None:
        await asyncio.gather(*(each.finish() for each in self.all))

    def stats(self) -> list[gossip.Stats]:
        """The counters of every node: of those that ended, as they were then."""
        return [each.stats or each.node.stats() for each in self.all]


async def everyone(
    nodes: Sequence[DemoNode],
    true: Callable[[DemoNode], bool],
    *,
    patience: float,
    remind: Callable[[list[DemoNode]], Awaitable[None]],
) -> None:
    """Waits until it is true of every node, without a limit of its own.

    Gossip is random: now and then it misses a node. Who is still behind after `patience` seconds
    is handed to `remind`, and so again after each such time.
    """
    while True:
        waits = [asyncio.ensure_future(each.until(true)) for each in behind(nodes, true)]
        if not waits:
            return
        try:
            _, late = await asyncio.wait(waits, timeout=patience)
        finally:
            for wait in waits:
                wait.cancel()
        if late:
            await remind(behind(nodes, true))


def behind(nodes: Iterable[DemoNode], true: Callable[[DemoNode], bool]) -> list[DemoNode]:
    return [each for each in nodes if not true(each)]


def names(nodes: Sequence[DemoNode], most: int = 5) -> str:
    """The names for a reader, cut off where they are many."""
    listed = ", ".join(each.name for each in nodes[:most])
    return listed + (f" and {len(nodes) - most} more" if len(nodes) > most else "")
