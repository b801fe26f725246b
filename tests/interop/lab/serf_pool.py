"""A pool of real Serf agents of two versions and of our nodes, which run in this process."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self, TypeVar

import gossip
from gossip._serf.keys import format_keyring
from tests.interop.lab.addresses import Network
from tests.interop.lab.serf import DEBIAN_SERF, SERF, SerfAgent

T = TypeVar("T")
E = TypeVar("E", bound=gossip.Event)

HANDLER = "-event-handler=query:who=echo $SERF_SELF_NAME"
"""Agents answer the query `who` with their names."""


async def until(what: str, within: float, check: Callable[[], Awaitable[T | None]]) -> T:
    """Asks again until there is an answer; each question takes its time."""
    try:
        async with asyncio.timeout(within):
            while (found := await check()) is None:
                await asyncio.sleep(0)
            return found
    except TimeoutError:
        raise AssertionError(f"not within {within:.0f} s: {what}") from None


class Ours:
    """A `gossip.Node`, what it told, and its answers to the query `who`."""

    def __init__(self, node: gossip.Node) -> None:
        self.node = node
        self.name = node.name
        self.running = True
        self.told: list[gossip.Event] = []
        self._news = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        events = self.node.events()
        await self.node.start()
        self._reader = asyncio.create_task(self._read(events))
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await self.close()
        if error is not None:
            told = "\n".join(str(event)[:200] for event in self.told[-40:])
            error.add_note(f"--- events of {self.name}\n{told}")

    async def close(self) -> None:
        self.running = False
        await self.node.close()
        if self._reader is not None:
            await asyncio.wait([self._reader])

    async def _read(self, events: gossip.Subscription[gossip.Event]) -> None:
        async for event in events:
            self.told.append(event)
            if isinstance(event, gossip.QueryReceived) and event.name == "who":
                event.respond(f"{self.name}\n".encode())
            self._news.set()

    async def saw(self, kind: type[E], within: float, **fields: Any) -> E:
        """Waits for such an event; `member` is compared by name."""

        async def check() -> E | None:
            for event in self.told:
                if isinstance(event, kind) and all(_has(event, *each) for each in fields.items()):
                    return event
            await self.news()
            return None

        return await until(f"{self.name} sees {kind.__name__} {fields}", within, check)

    async def news(self) -> None:
        """Waits until something more is told."""
        self._news.clear()
        await self._news.wait()

    def events(self, name: str) -> list[gossip.UserEvent]:
        """The user events of that name that came."""
        told = (event for event in self.told if isinstance(event, gossip.UserEvent))
        return [event for event in told if event.name == name]

    async def sees(self, within: float, wanted: dict[str, str]) -> None:
        """Waits until these members have these statuses."""

        async def check() -> bool | None:
            seen = {member.name: str(member.status) for member in self.node.members()}
            if all(seen.get(name) == status for name, status in wanted.items()):
                return True
            await self.news()
            return None

        await until(f"{self.name} sees {wanted}", within, check)


def _has(event: object, field: str, value: object) -> bool:
    found = getattr(event, field)
    return bool(found == value or (isinstance(found, gossip.Member) and found.name == value))


class SerfPool:
    """Agents go-1 to go-3 (v0.11.0) and debian-1, debian-2 (0.9.4), and our py-1 to py-3.

    All joined through go-1. One of ours runs on a thread of its own. With a key each has a keyring
    file of its own.
    """

    def __init__(self, key: bytes | None, **settings: Any) -> None:
        self._key = key
        self._settings = settings
        self._network = Network()
        self._stack = AsyncExitStack()
        self.go: list[SerfAgent] = []
        self.debian: list[SerfAgent] = []
        self.ours: list[Ours] = []

    @property
    def agents(self) -> list[SerfAgent]:
        return [*self.go, *self.debian]

    @property
    def names(self) -> set[str]:
        return {agent.name for agent in self.agents} | {one.name for one in self.ours}

    async def __aenter__(self) -> Self:
        try:
            self._stack.callback(self._network.close)
            self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
            for number in range(1, 4):
                self.go.append(await self._agent(f"go-{number}", number, SERF))
            for number in range(1, 3):
                name = f"debian-{number}"
                self.debian.append(await self._agent(name, 10 + number, DEBIAN_SERF))
            for number in range(1, 4):
                self.ours.append(await self._node(f"py-{number}", 20 + number))
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exit_: Any) -> None:
        await self._stack.__aexit__(*exit_)

    async def add(self, name: str, number: int, **settings: Any) -> Ours:
        """One more of ours, which is in no list and knows no seed."""
        return await self._node(name, 40 + number, seeds=[], **settings)

    async def add_agent(self, name: str, number: int, *options: str) -> SerfAgent:
        """One more agent, which is in no list and joins nobody by itself."""
        return await self._agent(name, 40 + number, SERF, *options, join=False)

    def keyring_file(self, name: str) -> Path:
        path = self.folder / f"{name}.keyring"
        if not path.exists() and self._key is not None:
            path.write_text(format_keyring([self._key]))
        return path

    async def _agent(
        self, name: str, number: int, binary: str, *more: str, join: bool = True
    ) -> SerfAgent:
        options = [f"-tag=role={name.split('-')[0]}", HANDLER, *more]
        if self.go and join:
            options.append(f"-join={self.go[0].address}")
        if self._key is not None:
            options.append(f"-keyring-file={self.keyring_file(name)}")
        agent = SerfAgent(name, self._network.host(number), *options, binary=binary)
        return await self._stack.enter_async_context(agent)

    async def _node(self, name: str, number: int, **settings: Any) -> Ours:
        fields: dict[str, Any] = {
            "bind": f"{self._network.host(number)}:7946",
            "seeds": [self.go[0].address],
            "keyring_file": None if self._key is None else self.keyring_file(name),
            "tags": {"role": "py"},
            "driver": "thread" if number % 2 else "asyncio",
            "retry_join": 0,
        }
        node = gossip.Node(name, **(fields | self._settings | settings))
        return await self._stack.enter_async_context(Ours(node))

    async def all_see(self, status: str, names: set[str], within: float) -> None:
        """All agents and all of ours that run hold these for that, and see no others so."""

        async def of_agent(agent: SerfAgent) -> None:
            async def check() -> bool | None:
                seen = await agent.members()
                found = {name for name, member in seen.items() if member["status"] == status}
                return True if found == names else None

            await until(f"{agent.name} sees {names} {status}", within, check)

        statuses = dict.fromkeys(names, status)
        await asyncio.gather(
            *(of_agent(agent) for agent in self.agents if agent.running),
            *(one.sees(within, statuses) for one in self.ours if one.running),
        )
