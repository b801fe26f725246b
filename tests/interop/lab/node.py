"""One member of a pool, as a process of its own: the Go library's, ours or kinship's, asked in one
way."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tests.interop import kinship_node, python_node
from tests.interop.lab.child import Child, Event

Flavour = Literal["go", "python", "kinship"]

PEERS = Path(__file__).resolve().parents[1] / "peers" / "bin"
_COMMANDS: dict[Flavour, list[str]] = {
    "go": [str(PEERS / "memberlist-peer")],
    "python": [sys.executable, python_node.__file__],
    "kinship": [sys.executable, kinship_node.__file__],
}
_STARTED_WITHIN = 30.0
_CLOSED_WITHIN = 10.0


@dataclass
class View:
    """What a node's events say of one member; `status` is "gone" where Go does not say more."""

    status: str
    meta: bytes


class Node(Child):
    """A node with the view of the pool that its own events add up to."""

    def __init__(
        self,
        name: str,
        flavour: Flavour,
        config: dict[str, Any],
        arguments: Sequence[str] = (),
        prefix: Sequence[str] = (),
    ) -> None:
        """`prefix` is what its command line begins with."""
        super().__init__(name)
        self.flavour = flavour
        self.view: dict[str, View] = {}
        self.address = ""
        self.config = config
        self.arguments = arguments
        self.prefix = prefix

    async def start(self) -> None:
        """Spawn the process and wait until its sockets are open."""
        await self.spawn([*self.prefix, *_COMMANDS[self.flavour], *self.arguments])
        self.write(json.dumps(self.config).encode())
        started = await self.saw("started", _STARTED_WITHIN)
        host, port = started["address"], started["port"]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def take(self, event: Event) -> None:
        super().take(event)
        if event.kind in ("joined", "updated"):
            self.view[event["name"]] = View("alive", bytes.fromhex(event["meta"]))
        elif event.kind in ("failed", "left", "gone"):
            self.view[event["name"]].status = event.kind

    def now(self) -> int:
        """The present, as an index into `events`."""
        return len(self.events)

    def sees(self, name: str) -> bool:
        return name in self.view and self.view[name].status == "alive"

    async def join(self, *seeds: Node) -> None:
        reached = await self.call("join", seeds=[seed.address for seed in seeds])
        assert reached == len(seeds)

    async def leave(self, timeout: float = 10.0) -> None:
        """Tell the pool; the process lives on until it is closed."""
        await self.call("leave", timeout=timeout)

    async def shut_down(self) -> int:
        """End the process in good order; its exit code."""
        await self.call("shutdown")
        return await self.ended(_CLOSED_WITHIN)

    async def update_meta(self, meta: bytes) -> None:
        await self.call("update_meta", payload=meta.hex(), timeout=10.0)

    async def set_state(self, state: bytes) -> None:
        await self.call("set_state", payload=state.hex())

    async def send(self, to: Node, payload: bytes, *, reliable: bool) -> None:
        await self.call("send", name=to.name, payload=payload.hex(), reliable=reliable)

    async def broadcast(self, payload: bytes) -> None:
        await self.call("broadcast", payload=payload.hex())

    async def ping(self, other: Node) -> float:
        """The round trip in seconds."""
        return float(await self.call("ping", name=other.name))

    async def health_score(self) -> int:
        return int(await self.call("health_score"))

    async def hold_the_gil(self, seconds: float) -> None:
        """Let no Python run in the process for that long (not Go)."""
        assert self.flavour != "go"
        await self.call("hold_gil", timeout=seconds)

    async def drop_udp(self, on: bool) -> None:
        """Lose all UDP packets of this node, in and out (Go nodes only)."""
        assert self.flavour == "go"
        await self.call("drop_udp", on=on)

    async def keyring(self, action: str, key: bytes = b"") -> list[str]:
        keys: list[str] = await self.call("keyring", action=action, payload=key.hex())
        return keys

    async def statuses_told_by(self, other: Node) -> dict[str, str]:
        """The status of every member in the table that another node sends in a push/pull.

        Go nodes only: the library shows it to the merge delegate, on a join.
        """
        assert self.flavour == "go"
        since = self.now()
        await self.join(other)
        rows = next(e["rows"] for e in self.events[since:] if e.kind == "table")
        return {row["name"]: row["status"] for row in rows}

    async def statuses(self) -> dict[str, str]:
        """The status of every member in its own table (Python nodes only; Go hides it)."""
        assert self.flavour == "python"
        return {row["name"]: row["status"] for row in await self.call("members")}

    def pause(self) -> None:
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)
