"""The gossip key of a living pool is changed, and nobody is lost on the way."""

from __future__ import annotations

import asyncio

import pytest

from tests.interop.lab.node import Node
from tests.interop.lab.pool import Pool, Shape
from tests.interop.lab.timings import SCHEDULING

OLD = bytes(range(16))
NEW = bytes(range(32))


@pytest.mark.cell(6, seconds=20)
async def test_a_key_is_installed_used_and_removed_without_losing_a_member() -> None:
    async with Pool(Shape(go=3, python=3, keys=(OLD,), more={"label": "rotating"})) as pool:
        await pool.join_all()
        for action, key in (("add", NEW), ("use", NEW), ("remove", OLD)):
            for node in pool.nodes:
                await node.keyring(action, key)
                await node.ping(pool.others(node)[0])
            await all_are_probed_again(pool)
            await messages_arrive(pool, action)
        for node in pool.nodes:
            assert await node.keyring("list") == [NEW.hex()]
            assert node.count("suspected") == 0
            assert node.count("failed", "gone") == 0


async def all_are_probed_again(pool: Pool) -> None:
    """Every node is probed by a Go and by a Python node from now on."""
    since = {node: node.now() for node in pool.nodes}
    within = pool.timings.suspected_within(pool.shape.size)

    async def probed(subject: Node, observers: list[Node]) -> None:
        probers = [node for node in observers if node is not subject]
        await pool.any_saw(probers, "pinged", within, since, name=subject.name)

    await asyncio.gather(
        *(probed(node, probers) for node in pool.nodes for probers in (pool.go, pool.python))
    )


async def messages_arrive(pool: Pool, text: str) -> None:
    for sender, receiver in ((pool.go[0], pool.python[0]), (pool.python[0], pool.go[0])):
        for reliable in (False, True):
            payload = f"{text} {reliable}".encode()
            await sender.send(receiver, payload, reliable=reliable)
            await receiver.saw("message", SCHEDULING, payload=payload.hex())
