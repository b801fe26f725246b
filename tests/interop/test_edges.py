"""Rarer turns in the life of a mixed pool: a restart, a name used twice, the oldest protocol."""

from __future__ import annotations

import pytest

from tests.interop.lab.node import Node
from tests.interop.lab.pool import Pool, Shape
from tests.interop.lab.timings import SCHEDULING


@pytest.mark.cell(4)
async def test_a_node_that_was_killed_and_started_again_is_taken_back() -> None:
    async with Pool(Shape(go=2, python=2)) as pool:
        await pool.join_all()
        for victim, seed in ((pool.python[1], pool.go[0]), (pool.go[1], pool.python[0])):
            victim.kill()
            witnesses = pool.others(victim)
            await pool.all_saw(witnesses, victim, "failed", "gone", within=pool.failed_within)
            reborn = await pool.restart(victim)
            await reborn.join(seed)
            await pool.all_see(pool.nodes)


@pytest.mark.cell(4)
async def test_a_node_restarted_before_it_was_missed_overcomes_its_own_past() -> None:
    async with Pool(Shape(go=2, python=2)) as pool:
        await pool.join_all()
        victim = pool.python[1]
        await victim.update_meta(b"of the first life")
        await pool.all_saw_meta(pool.nodes, victim, b"of the first life")
        victim.kill()
        reborn = await pool.restart(victim)
        await reborn.join(pool.go[0])
        await pool.all_saw_meta(pool.nodes, reborn, b"python-2")
        await pool.all_see(pool.nodes)


@pytest.mark.cell(5)
async def test_a_name_used_twice_is_a_conflict_and_moves_nobody() -> None:
    async with Pool(Shape(go=2, python=2)) as pool:
        await pool.join_all()
        holder = pool.python[0]
        usurper = await pool.add("go", holder.name)
        # It takes the holder's name for its own and so will never gossip to it: it must call there.
        await usurper.join(pool.go[0], holder)
        for node in (pool.go[0], holder, pool.python[1]):
            conflict = await node.saw("conflict", pool.spread_within, name=holder.name)
            assert address(conflict["existing"]) == holder.address
            assert address(conflict["other"]) == usurper.address
        usurper.kill()
        for node in pool.others(holder):
            assert await node.ping(holder) < SCHEDULING
            assert node.count("failed", "gone", name=holder.name) == 0
        assert holder.count("conflict") == 1


@pytest.mark.cell(4)
@pytest.mark.parametrize("keys", [(), (bytes(32),)], ids=["plain", "AES-256"])
async def test_a_pool_of_protocol_1_has_no_ports_and_pads_its_secrets(
    keys: tuple[bytes, ...],
) -> None:
    async with Pool(Shape(go=2, python=2, keys=keys, more={"protocol_version": 1})) as pool:
        await pool.join_all()
        python, go = pool.python[0], pool.go[0]
        for sender, receiver in ((python, go), (go, python)):
            await sender.update_meta(b"old")
            await pool.all_saw_meta(pool.nodes, sender, b"old")
            await exchange(sender, receiver)


async def exchange(sender: Node, receiver: Node) -> None:
    assert await sender.ping(receiver) < SCHEDULING
    for reliable in (False, True):
        payload = f"reliable: {reliable}".encode()
        await sender.send(receiver, payload, reliable=reliable)
        await receiver.saw("message", SCHEDULING, payload=payload.hex())


def address(row: dict[str, object]) -> str:
    return f"{row['address']}:{row['port']}"
