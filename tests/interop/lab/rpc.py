"""As much of Serf's agent RPC (Serf §15) as sending events quickly needs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Self

import msgpack

from tests.interop.lab.serf import SerfAgent


class Rpc:
    """A connection to an agent. Answers are counted, and must be without an error."""

    def __init__(self, agent: SerfAgent) -> None:
        self._address = agent.rpc
        self._seq = 0

    async def __aenter__(self) -> Self:
        host, _, port = self._address.rpartition(":")
        self._reader, self._writer = await asyncio.open_connection(host, int(port))
        self._unpacker = msgpack.Unpacker()
        await self.call("handshake", {"Version": 1})
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def call(self, command: str, body: Mapping[str, object]) -> None:
        """One request and the header of its answer."""
        self._seq += 1
        header = {"Command": command, "Seq": self._seq}
        self._writer.write(msgpack.packb(header) + msgpack.packb(dict(body)))
        while True:
            for answer in self._unpacker:
                assert answer == {"Error": "", "Seq": self._seq}
                return
            data = await self._reader.read(4096)
            assert data, "the agent closed the connection"
            self._unpacker.feed(data)
