"""The real `serf agent`: a process with a log, asked through its own command line."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Self

from tests.interop.lab.node import PEERS
from tests.interop.lab.process import Process

SERF = str(PEERS / "serf")
_STARTED_WITHIN = 30.0
_ANSWER_WITHIN = 30.0


class SerfAgent(Process):
    """An agent with the timers of memberlist's LAN profile, on port 7946 of its address."""

    def __init__(self, name: str, host: str) -> None:
        super().__init__(name)
        self.address = f"{host}:7946"
        self._rpc = f"{host}:7373"

    async def __aenter__(self) -> Self:
        arguments = [f"-node={self.name}", f"-bind={self.address}", f"-rpc-addr={self._rpc}"]
        await self.spawn([SERF, "agent", *arguments, "-profile=lan", "-log-level=debug"])
        await self.logged("Serf agent running!", _STARTED_WITHIN)
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await self.close()
        if error is not None:
            error.add_note(self.report())

    async def logged(self, text: str, within: float) -> None:
        """Wait for a line of the log that holds the text."""
        await self.until(f"logs {text!r}", within, lambda: self.has_logged(text) or None)

    def has_logged(self, text: str) -> bool:
        return any(text in line for line in self.log)

    async def run(self, command: str, *arguments: str) -> str:
        """The output of a `serf` command that asks this agent."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            SERF, command, f"-rpc-addr={self._rpc}", *arguments, stdout=pipe, stderr=pipe
        )
        async with asyncio.timeout(_ANSWER_WITHIN):
            output, errors = await process.communicate()
        assert process.returncode == 0, f"serf {command}: {output.decode()}{errors.decode()}"
        return output.decode()

    async def members(self) -> dict[str, dict[str, Any]]:
        """What `serf members` says of each."""
        answer = json.loads(await self.run("members", "-format=json"))
        return {member["name"]: member for member in answer["members"]}
