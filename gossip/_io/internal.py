"""Answers internal queries of a running node; what changes keys is written to its file first."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from gossip._io import bounds
from gossip._io.files import replace_file
from gossip._serf import answers, keys
from gossip._serf.messages import KeyResponse, encode_key_response
from gossip.keyring import Keyring

if TYPE_CHECKING:
    from gossip._io.driver import Driver
    from gossip._io.serf import SerfLayer


class Answers:
    """Answers internal queries of one node. Keys are changed one query after the other."""

    def __init__(self, driver: Driver, layer: SerfLayer) -> None:
        self._driver = driver
        self._layer = layer
        self._ring = driver.keyring
        config = layer.config
        limit = config.query_response_size_limit
        self._at_once = answers.Answers(layer.name, layer.serf, self._ring, limit)
        self._file = None if config.keyring_file is None else Path(config.keyring_file)
        self._changing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def answer(self, handle: int, ltime: int, number: int, name: str, payload: bytes) -> None:
        """Answers now or later; what is not known is not answered."""
        if name in answers.CHANGES and len(self._tasks) < bounds.KEY_CHANGES_WAITING:
            self._begin(self._change(handle, name, payload))
            return
        answer = self._at_once.answer(ltime, number, name, payload)
        if answer is None:
            self._layer.serf.ignore(handle)
        else:
            self._respond(handle, answer)

    async def close(self) -> None:
        tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks)

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
        if not self._driver.closed:
            self._layer.respond_internal(handle, payload)

    def _begin(self, change: Coroutine[None, None, None]) -> None:
        task = self._driver.loop.create_task(change)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
