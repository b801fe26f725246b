"""Tells every process to drop what it has cached under a key.

    python examples/cache_refresh.py

A broadcast travels one hop: its sender gossips it to a few random members, whoever wants all to
have it passes it on the first time he sees it. Gossip is best effort and may come twice or, rarely,
never: use it for hints such as this one, with a lifetime on what is cached, not for orders.
"""

import asyncio
import contextlib
import uuid
from collections import OrderedDict

import gossip

REMEMBERED = 1000


class Cache:
    """A dictionary in each process; `refresh` drops a key in all of them."""

    def __init__(self, node: gossip.Memberlist) -> None:
        self.values: dict[str, str] = {}
        self._node = node
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._changed = asyncio.Event()

    def refresh(self, key: str) -> None:
        self._spread(uuid.uuid4().bytes + key.encode())  # the id tells two refreshes apart

    async def listen(self) -> None:
        async for event in self._node.events(gossip.MessageReceived):
            if isinstance(event, gossip.MessageReceived):
                self._spread(event.payload)

    def _spread(self, payload: bytes) -> None:
        if payload in self._seen:
            return
        self._seen[payload] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        self._node.broadcast(payload)
        self.values.pop(payload[16:].decode(), None)
        self._changed.set()

    async def dropped(self, key: str) -> None:
        """Waits until the key is gone here."""
        while key in self.values:
            self._changed.clear()
            await self._changed.wait()


async def main() -> None:
    async with contextlib.AsyncExitStack() as stack:
        nodes: list[gossip.Memberlist] = []
        for number in range(4):  # in earnest: one in each process
            seeds = [str(node.address) for node in nodes[:1]]
            node = gossip.Memberlist(f"web-{number}", bind="127.0.0.1:0", seeds=seeds)
            nodes.append(await stack.enter_async_context(node))
        caches = [Cache(node) for node in nodes]
        listening = [asyncio.create_task(cache.listen()) for cache in caches]
        for cache in caches:
            cache.values["user:7"] = "an old name"

        caches[0].refresh("user:7")
        await asyncio.gather(*(cache.dropped("user:7") for cache in caches))
        print(f"user:7 is gone from all {len(caches)} caches")
    await asyncio.gather(*listening)  # each ends with its node


if __name__ == "__main__":
    asyncio.run(main())
