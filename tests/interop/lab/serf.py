"""The real `serf agent`: a process with a log, asked through its own command line."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Self

from tests.interop.lab.node import PEERS
from tests.interop.lab.process import Process

SERF = str(PEERS / "serf")
DEBIAN_SERF = str(PEERS / "serf-debian")
_STARTED_WITHIN = 30.0
_ANSWER_WITHIN = 30.0


class SerfAgent(Process):
    """An agent with the timers of memberlist's LAN profile, on port 7946 of its address."""

    def __init__(self, name: str, host: str, *options: str, binary: str = SERF) -> None:
        super().__init__(name)
        self.address = f"{host}:7946"
        self.rpc = f"{host}:7373"
        self._options = options
        self._binary = binary

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def __aenter__(self) -> Self:
        arguments = [f"-node={self.name}", f"-bind={self.address}", f"-rpc-addr={self.rpc}"]
        arguments += ["-profile=lan", "-log-level=debug", *self._options]
        await self.spawn([self._binary, "agent", *arguments])
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

    async def run(self, command: str, *arguments: str, check: bool = True) -> str:
        """The output of a `serf` command of this agent's own version that asks this agent."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            self._binary, command, f"-rpc-addr={self.rpc}", *arguments, stdout=pipe, stderr=pipe
        )
        async with asyncio.timeout(_ANSWER_WITHIN):
            output, errors = await process.communicate()
        failed = check and process.returncode != 0
        assert not failed, f"serf {command}: {output.decode()}{errors.decode()}"
        return output.decode()

    async def members(self) -> dict[str, dict[str, Any]]:
        """What `serf members` says of each."""
        answer = json.loads(await self.run("members", "-format=json"))
        return {member["name"]: member for member in answer["members"]}


class SerfMonitor(Process):
    """`serf monitor` at an agent: it prints every event that the agent hears of."""

    def __init__(self, agent: SerfAgent) -> None:
        super().__init__(f"monitor of {agent.name}")
        self._rpc = agent.rpc

    async def __aenter__(self) -> Self:
        await self.spawn([SERF, "monitor", f"-rpc-addr={self._rpc}", "-log-level=info"])
        await self.saw("agent: Serf agent starting", _STARTED_WITHIN)  # the log is told from old
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def saw(self, text: str, within: float) -> None:
        await self.until(
            f"prints {text!r}", within, lambda: any(text in line for line in self.log) or None
        )
