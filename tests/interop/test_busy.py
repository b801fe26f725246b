"""A Python process whose interpreter is busy for long, in a pool with stock LAN timers."""

from __future__ import annotations

import asyncio
import os

import pytest

from tests.interop.kinship_node import INSTALLED as KINSHIP
from tests.interop.lab.node import Node
from tests.interop.lab.pool import Pool, Shape
from tests.interop.lab.timings import LAN

SECONDS = 20.0
ATTEMPTS = 3  # a machine that stood still for a second, or a peer that did, is no finding
KEY = bytes(range(32))


@pytest.mark.cell(4, seconds=25)
@pytest.mark.parametrize("keys", [(), (KEY,)], ids=["plain", "AES-256"])
async def test_with_the_thread_driver_nobody_suspects_it(keys: tuple[bytes, ...]) -> None:
    shape = Shape(go=3, python=1, timings=LAN, keys=keys, driver="thread")
    harm = [await done_to_it(shape)]
    while any(harm[-1]) and len(harm) < ATTEMPTS:
        harm.append(await done_to_it(shape))
    assert not any(harm[-1]), harm


async def done_to_it(shape: Shape) -> tuple[int, int, int]:
    """What the peers said against it, and what it says itself: refutations, stalls of its own."""
    async with Pool(shape) as pool:
        await pool.join_all(twice=True)
        busy = pool.python[0]
        since = {node: node.now() for node in pool.go}
        await busy.hold_the_gil(SECONDS)
        said = sum(
            node.count("suspected", "failed", "gone", since=first, name=busy.name)
            for node, first in since.items()
        )
        stats = await busy.call("stats")
        return said, stats["refutations"], stats["stalls"]


@pytest.mark.cell(4, seconds=25)
@pytest.mark.parametrize("keys", [(), (KEY,)], ids=["plain", "AES-256"])
async def test_with_the_asyncio_driver_it_fails_and_rejoins(keys: tuple[bytes, ...]) -> None:
    async with Pool(Shape(go=3, python=1, timings=LAN, keys=keys)) as pool:
        await pool.join_all(twice=True)
        busy = pool.python[0]
        since = {node: node.now() for node in pool.go}
        await busy.hold_the_gil(SECONDS)
        for node in pool.go:
            await node.saw("gone", pool.spread_within, since[node], name=busy.name)
            await node.saw("joined", pool.spread_within, since[node], name=busy.name)


async def held(pool: Pool, busy: Node) -> int:
    """How often the others said something against a node whose GIL was held."""
    await pool.join_all()
    since = {node: node.now() for node in pool.others(busy)}
    await busy.hold_the_gil(SECONDS)
    kinds = ("suspected", "failed", "gone")
    return sum(node.count(*kinds, since=first, name=busy.name) for node, first in since.items())


@pytest.mark.cell(8, seconds=25)
async def test_it_does_no_worse_than_kinship_among_its_own_kind() -> None:
    """kinship 0.4.0 runs a thread in Rust for the same end."""
    if not KINSHIP.exists():
        assert os.environ.get("GOSSIP_REQUIRE_PEERS", "0") in ("", "0"), "kinship is missing"
        pytest.skip("kinship could not be installed")
    compared = [await both_held()]
    while compared[-1][0] > compared[-1][1] and len(compared) < ATTEMPTS:
        compared.append(await both_held())
    assert any(ours <= theirs for ours, theirs in compared), compared


async def both_held() -> tuple[int, int]:
    ours, theirs = Shape(python=4, timings=LAN, driver="thread"), Shape(kinship=4, timings=LAN)
    async with Pool(ours) as a, Pool(theirs) as b:
        return await asyncio.gather(held(a, a.python[0]), held(b, b.kinship[0]))
