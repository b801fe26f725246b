"""Tells every process to drop what it has cached under a key.

    python examples/cache_refresh.py

A user event reaches every node once, the sender too, without a broker: each passes it on. The
members may be Python or Go processes: `serf event cache-refresh user:7` does the same. Gossip is
best effort: give what is cached a lifetime as well, for the node that is cut off meanwhile.
"""

import asyncio
import contextlib

import gossip

EVENT = "cache-refresh"


class Cache:
    """A dictionary in each process; `refresh` drops a key in all of them."""

    def __init__(self, node: gossip.Node) -> None:
        self.values: dict[str, str] = {}
        self._node = node
        self._events = node.events(gossip.UserEvent)
        self._changed = asyncio.Event()

    def refresh(self, key: str) -> None:
        self._node.send_event(EVENT, key.encode(), coalesce=False)

    async def listen(self) -> None:
        async for event in self._events:
            match event:
                case gossip.UserEvent(name="cache-refresh", payload=key):
                    self.values.pop(key.decode(), None)
                case gossip.EventsLost():
                    self.values.clear()  # too slow to hear of all keys: none can be trusted
            self._changed.set()

    async def dropped(self, key: str) -> None:
        """Waits until the key is gone here."""
        while key in self.values:
            self._changed.clear()
            await self._changed.wait()


async def main() -> None:
    async with contextlib.AsyncExitStack() as stack:
        nodes: list[gossip.Node] = []
        for number in range(4):  # in earnest: one in each process
            seeds = [str(node.address) for node in nodes[:1]]
            node = gossip.Node(f"web-{number}", bind="127.0.0.1:0", seeds=seeds)
            nodes.append(await stack.enter_async_context(node))
        caches = [Cache(node) for node in nodes]
        listening = [asyncio.create_task(cache.listen()) for cache in caches]
        for cache in caches:
            cache.values["user:7"] = "an old name"

        caches[0].refresh("user:7")
        await asyncio.gather(*(cache.dropped("user:7") for cache in caches))
        print(f"user:7 is gone from all {len(caches)} caches")
        await asyncio.gather(*(node.leave() for node in nodes))
    await asyncio.gather(*listening)  # each ends with its node


if __name__ == "__main__":
    asyncio.run(main())
