"""Joining: from seeds to a report that says for each address what came of it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from gossip._io import bounds
from gossip._io.resolve import Seed, SeedError, parse_seed, resolve
from gossip.errors import GossipError, JoinError
from gossip.members import Address, encode_name
from gossip.reports import Contact, JoinReport, SeedReport

_log = logging.getLogger("gossip")

Call = Callable[[Address, bytes], Awaitable[None]]
JoinerParts = tuple[str, int, frozenset[Address], bool, Call]
"""The arguments of a `Joiner`."""

NO_NODE_NAME = "memberlist: node names are required by configuration but one was not provided"


class Pool(Protocol):
    """What a joiner has to know of the members."""

    def size(self) -> int: ...
    async def up_at(self, address: Address) -> bool: ...


class Joiner:
    """Calls seeds. `call` exchanges state with one address, or raises GossipError.

    port: of a seed that names none. own: the addresses at which this node would call itself.
    """

    def __init__(
        self, node: str, port: int, own: frozenset[Address], require_node_names: bool, call: Call
    ) -> None:
        self._node = node
        self._port = port
        self._own = own
        self._require_node_names = require_node_names
        self._call = call
        self.calls = 0  # of seeds that were no members, by `keep_calling`
        self._slots = asyncio.Semaphore(bounds.JOINS_AT_ONCE)

    async def join(self, seeds: Sequence[str], timeout: float | None) -> JoinReport:
        """Calls every address of every seed; raises JoinError when something failed and nothing
        was reached. When the time is up, what is not done by then has failed."""
        report = await self.attempt(seeds, timeout)
        if not report.reached and report.failed:
            raise JoinError(report)
        return report

    async def attempt(self, seeds: Sequence[str], timeout: float | None) -> JoinReport:
        """The same, without raising."""
        late = f"not done within {timeout:g} s" if timeout is not None else ""
        progress = [_Progress(seed, late) for seed in seeds]
        tasks = [asyncio.ensure_future(self._seed(each)) for each in progress]
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=timeout)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return JoinReport(tuple(each.report() for each in progress))

    async def keep_trying(self, seeds: Sequence[str], interval: float) -> None:
        """Tries until a seed is reached, its names resolved anew each time."""
        while True:
            await asyncio.sleep(interval)
            report = await self.attempt(seeds, None)
            if report.reached:
                _log.info("%s: joined through its seeds:\n%s", self._node, report)
                return
            _log.debug("%s: no seed is reached yet:\n%s", self._node, report)

    async def keep_calling(
        self, seeds: Sequence[str], interval: float, heal_time: float, pool: Pool
    ) -> None:
        """Calls seeds that are no members, one at a time and slowly, for ever: a pool that began as
        islands, or whose failed members have other addresses now, becomes one again.

        After half to one and a half of `interval` it draws whether this is the node to call: all
        nodes of a pool together call about as often as there are seeds. Then the names are resolved
        anew. An address that is no member's for longer than `heal_time` is called no more.
        """
        loop = asyncio.get_running_loop()
        missing: dict[Address, float] = {}
        while True:
            await asyncio.sleep(interval * random.uniform(0.5, 1.5))
            if random.random() * pool.size() >= len(seeds):
                continue
            absent = await self._absent(seeds, pool)
            now = loop.time()
            missing = {address: missing.get(address, now) for address in absent}
            due = [address for address in absent if now - missing[address] <= heal_time]
            if due and await self._call_again(random.choice(due), absent):
                missing.clear()

    async def _absent(self, seeds: Sequence[str], pool: Pool) -> dict[Address, str]:
        """The addresses of seeds at which no member is up, with the names the nodes should have."""
        absent: dict[Address, str] = {}
        for text in seeds:
            try:
                seed = parse_seed(text, self._port)
                addresses = await resolve(seed)
            except SeedError as error:
                _log.debug("%s: %s", self._node, error)
                continue
            for address in addresses:
                unnamed = self._require_node_names and not seed.node_name
                if address not in self._own and not unnamed and not await pool.up_at(address):
                    absent[address] = seed.node_name
        return absent

    async def _call_again(self, address: Address, names: Mapping[Address, str]) -> bool:
        self.calls += 1
        try:
            await self._call(address, encode_name(names[address]))
        except GossipError as error:
            _log.debug("%s: the seed at %s is still away: %s", self._node, address, error)
            return False
        _log.info("%s: joined again through the seed at %s", self._node, address)
        return True

    async def _seed(self, progress: _Progress) -> None:
        try:
            seed = parse_seed(progress.seed, self._port)
            addresses = await resolve(seed)
        except SeedError as error:
            progress.error = str(error)
            return
        progress.addresses = addresses
        await asyncio.gather(*(self._address_of(seed, each, progress) for each in addresses))

    async def _address_of(self, seed: Seed, address: Address, progress: _Progress) -> None:
        if address in self._own:
            progress.done[address] = Contact(address, itself=True)
            return
        if self._require_node_names and not seed.node_name:
            progress.done[address] = Contact(address, NO_NODE_NAME)
            return
        try:
            async with self._slots:
                await self._call(address, encode_name(seed.node_name))
        except GossipError as error:
            progress.done[address] = Contact(address, str(error))
        else:
            progress.done[address] = Contact(address)


class _Progress:
    """What is known about one seed so far."""

    def __init__(self, seed: str, late: str) -> None:
        self.seed = seed
        self.addresses: list[Address] | None = None
        self.done: dict[Address, Contact] = {}
        self.error: str | None = None
        self._late = late

    def report(self) -> SeedReport:
        if self.error is None and self.addresses is None:
            return SeedReport(self.seed, error=self._late)
        contacts = (
            self.done.get(address) or Contact(address, self._late)
            for address in self.addresses or ()
        )
        return SeedReport(self.seed, tuple(contacts), self.error)
