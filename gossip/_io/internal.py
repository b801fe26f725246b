"""What a node answers to the internal queries of others (Serf §12): conflicts and keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from gossip._core import Serf
from gossip._io import bounds
from gossip._io.files import replace_file
from gossip._serf import conflict, keys
from gossip._serf.messages import (
    ConflictResponse,
    KeyResponse,
    encode_conflict_response,
    encode_key_response,
)
from gossip._serf.tags import decode_tags
from gossip.keyring import Keyring
from gossip.members import decode_name
from gossip.node_config import NodeConfig

if TYPE_CHECKING:
    from gossip._io.driver import Driver

_CHANGES = (keys.INSTALL, keys.USE, keys.REMOVE)


class Answers:
    """Answers internal queries of one node. Keys are changed one query after the other."""

    def __init__(self, driver: Driver, serf: Serf, config: NodeConfig) -> None:
        self._driver = driver
        self._serf = serf
        self._ring = driver.keyring
        self._limit = config.query_response_size_limit
        self._file = None if config.keyring_file is None else Path(config.keyring_file)
        self._changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def answer(self, handle: int, ltime: int, number: int, name: str, payload: bytes) -> None:
        """Answers now or later; what is not known is not answered."""
        if name == conflict.QUERY and decode_name(payload) != self._driver.name:
            self._respond(handle, self._record_of(payload))
        elif name in _CHANGES and len(self._tasks) < bounds.KEY_CHANGES_WAITING:
            self._begin(self._change(handle, name, payload))
        elif name == keys.LIST:
            self._respond(handle, encode_key_response(self._list(ltime, number)))
        else:
            self._serf.ignore(handle)

    async def close(self) -> None:
        tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks)

    def _record_of(self, name: bytes) -> bytes:
        found = self._serf.member(name)
        if found is None:
            return encode_conflict_response(None)
        low, high, current, delegate_low, delegate_high, delegate_current = found[4]
        return encode_conflict_response(
            ConflictResponse(
                decode_name(name),
                found[1],
                found[2],
                decode_tags(found[3]),
                found[5],
                (low, high, current, delegate_low, delegate_high, delegate_current),
            )
        )

    def _list(self, ltime: int, number: int) -> KeyResponse:
        def size(payload: int) -> int:
            return keys.response_size(ltime, number, self._driver.name, payload)

        return keys.list_keys(self._ring, self._limit, size)

    async def _change(self, handle: int, name: str, payload: bytes) -> None:
        async with self._changing:
            if self._driver.closed:
                return
            ring = Keyring(self._ring)
            response = keys.change_keyring(ring, name, payload)
            if response.result and self._file is not None:
                try:
                    await self._driver.loop.run_in_executor(None, self._save, ring.keys)
                except OSError as error:
                    response = KeyResponse(False, f"the keyring file: {error.strerror}")
            if response.result and not self._driver.closed:
                keys.change_keyring(self._ring, name, payload)
            self._respond(handle, encode_key_response(response))

    def _save(self, ring: Iterable[bytes]) -> None:
        """Written before the ring is changed: what is in use is in the file."""
        assert self._file is not None
        replace_file(self._file, keys.format_keyring(ring).encode(), 0o600, ".new")

    def _respond(self, handle: int, payload: bytes) -> None:
        if self._driver.closed:
            return
        try:
            self._serf.respond(handle, payload, time.monotonic_ns())
        except (ValueError, RuntimeError):
            self._serf.ignore(handle)
        self._driver.pump_soon()

    def _begin(self, change: Coroutine[None, None, None]) -> None:
        task = self._driver.loop.create_task(change)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
