"""A Python process whose interpreter is busy for long, in a pool with stock LAN timers."""

from __future__ import annotations

import pytest

from tests.interop.lab.pool import Pool, Shape
from tests.interop.lab.timings import LAN

SECONDS = 20.0


@pytest.mark.cell(4, seconds=25)
@pytest.mark.parametrize("keys", [(), (bytes(range(32)),)], ids=["plain", "AES-256"])
async def test_with_the_thread_driver_nobody_suspects_it(keys: tuple[bytes, ...]) -> None:
    shape = Shape(go=3, python=1, timings=LAN, keys=keys, driver="thread")
    async with Pool(shape) as pool:
        await pool.join_all(twice=True)
        busy = pool.python[0]
        await busy.hold_the_gil(SECONDS)
        assert [node.count("suspected", "failed", "gone") for node in pool.go] == [0] * 3
        stats = await busy.call("stats")
        assert (stats["refutations"], stats["stalls"]) == (0, 0)
        assert set((await pool.go[0].statuses_told_by(pool.go[1])).values()) == {"alive"}


@pytest.mark.cell(4, seconds=25)
async def test_with_the_asyncio_driver_it_fails_and_rejoins() -> None:
    async with Pool(Shape(go=3, python=1, timings=LAN)) as pool:
        await pool.join_all(twice=True)
        busy = pool.python[0]
        since = {node: node.now() for node in pool.go}
        await busy.hold_the_gil(SECONDS)
        for node in pool.go:
            await node.saw("gone", pool.spread_within, since[node], name=busy.name)
            await node.saw("joined", pool.spread_within, since[node], name=busy.name)
