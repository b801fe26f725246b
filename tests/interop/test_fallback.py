"""A node whose UDP is lost while its TCP is open stays alive by TCP pings and push/pulls."""

from __future__ import annotations

import asyncio

import pytest

from tests.interop.lab.node import Node
from tests.interop.lab.pool import Pool, Shape
from tests.interop.lab.timings import SCHEDULING

SAVED_PROBES = 3


async def probes_all(node: Node, beacon: Node, rounds: int, within: float) -> None:
    """Wait until a node has probed all so many times; its probes of one of them tell."""
    seen = node.count("pinged", name=beacon.name)
    # The first and the last round need not be whole.
    await node.saw_often("pinged", seen + rounds + 2, within, name=beacon.name)


@pytest.mark.cell(6)
async def test_fallback_pings_keep_a_node_without_udp_alive() -> None:
    async with Pool(Shape(go=3, python=3)) as pool:
        await pool.join_all()
        deaf = pool.go[0]
        await deaf.drop_udp(True)
        within = SAVED_PROBES * pool.timings.suspected_within(pool.shape.size)
        await asyncio.gather(
            pool.go[1].saw_often("fallback", SAVED_PROBES, within, name=deaf.name),
            *(deaf.saw_often("fallback", SAVED_PROBES, within, name=n.name) for n in pool.python),
            *(probes_all(node, pool.go[1], SAVED_PROBES, within) for node in pool.python),
        )
        for node in pool.python:
            assert (await node.call("stats"))["probes_saved_by_tcp"] >= SAVED_PROBES
        await deaf.send(pool.python[0], b"over TCP", reliable=True)
        await pool.python[0].saw("message", SCHEDULING, payload=b"over TCP".hex())
        assert [node.count("suspected") for node in pool.nodes] == [0] * 6
        assert [node.count("failed", "gone") for node in pool.nodes] == [0] * 6
        await deaf.drop_udp(False)
        await asyncio.gather(deaf.ping(pool.python[0]), pool.python[0].ping(deaf))
