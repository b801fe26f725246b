"""Changing the keys of a whole pool, through the pool itself (Serf §12)."""

from __future__ import annotations

from collections.abc import Callable

from gossip._io.queries import Query
from gossip._serf import keys
from gossip._serf.messages import encode_key_request
from gossip.errors import KeyQueryError
from gossip.keys import checked_key, parse_key
from gossip.reports import KeyReport

Ask = Callable[[str, bytes, int, float | None], Query]


class PoolKeys:
    """The keys of all members of a pool; see `Node.keys`.

    Each call asks every living member, this node included, waits for the answers, and gives a
    report of all nodes. It raises KeyQueryError, with the report, when a node refused or did not
    answer in time; what the others did stays done. To rotate: `install` the new key, `use` it,
    `remove` the old one. Keys are bytes or base64 texts. `timeout` is in seconds.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def install(
        self, key: bytes | str, *, relay_factor: int = 0, timeout: float | None = None
    ) -> KeyReport:
        """Every member gets one more key, with which it can open packets."""
        return await self._change(keys.INSTALL, key, relay_factor, timeout)

    async def use(
        self, key: bytes | str, *, relay_factor: int = 0, timeout: float | None = None
    ) -> KeyReport:
        """Every member seals with this key, which it must have."""
        return await self._change(keys.USE, key, relay_factor, timeout)

    async def remove(
        self, key: bytes | str, *, relay_factor: int = 0, timeout: float | None = None
    ) -> KeyReport:
        """Every member forgets this key; none may seal with it."""
        return await self._change(keys.REMOVE, key, relay_factor, timeout)

    async def list(self, *, relay_factor: int = 0, timeout: float | None = None) -> KeyReport:
        """Which keys are in use, and on how many nodes each."""
        return await self._gather(keys.LIST, encode_key_request(None), relay_factor, timeout)

    async def _change(
        self, query: str, key: bytes | str, relay_factor: int, timeout: float | None
    ) -> KeyReport:
        raw = parse_key(key) if isinstance(key, str) else checked_key(key)
        return await self._gather(query, encode_key_request(raw), relay_factor, timeout)

    async def _gather(
        self, name: str, payload: bytes, relay_factor: int, timeout: float | None
    ) -> KeyReport:
        query = self._ask(name, payload, relay_factor, timeout)
        tally = keys.KeyTally(query.members)
        for node, answer in (await query.responses()).items():
            tally.add(node, answer)
        report = tally.report()
        if report.error is not None:
            raise KeyQueryError(report)
        return report
